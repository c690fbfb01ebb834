package install

import (
	"fmt"

	"calico-cni/pkg/netconf"
)

// The most that a log may keep, as in the chart's schema. The plugins take more.
const (
	mostMegabytes = 1 << 20
	mostDays      = 36500
	mostFiles     = 100000
)

// tolerate replaces values of the plugins' log that make no sense by the defaults, as the plugins do, and returns a
// warning for each. The network of pods does not depend on them, so that they are no reason not to install: see
// docs/decisions/0042-tolerated-values.md.
func (c *Config) tolerate() (warnings []string) {
	if _, known := netconf.ParseLevel(c.LogLevel); !known {
		if c.LogLevel != "" {
			warnings = append(warnings, fmt.Sprintf("LOG_LEVEL %q: want debug, info, warning or error; using %s",
				c.LogLevel, netconf.DefaultLogLevel))
		}
		c.LogLevel = netconf.DefaultLogLevel
	}
	for _, n := range []struct {
		variable        string
		value           *int
		most, byDefault int
	}{
		{"LOG_FILE_MAX_SIZE", &c.LogFileMaxSize, mostMegabytes, netconf.DefaultLogFileMaxSize},
		{"LOG_FILE_MAX_AGE", &c.LogFileMaxAge, mostDays, netconf.DefaultLogFileMaxAge},
		{"LOG_FILE_MAX_COUNT", &c.LogFileMaxCount, mostFiles, netconf.DefaultLogFileMaxCount},
	} {
		if *n.value < 0 || *n.value > n.most {
			warnings = append(warnings, fmt.Sprintf("%s %d: want 1 to %d, or 0 for the default; using the default, %d",
				n.variable, *n.value, n.most, n.byDefault))
			*n.value = n.byDefault
		}
	}
	return warnings
}
