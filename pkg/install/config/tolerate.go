// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"

	"calico-cni/pkg/netconf"
)

// The limits of the plugins' log, as in the chart's schema. The plugins accept more.
const (
	maxMegabytes = 1 << 20
	maxDays      = 36500
	maxFiles     = 100000
)

// ReplaceInvalidLogSettings replaces invalid settings of the plugins' log with the defaults, as the plugins do, and
// returns a warning for each. The network of pods does not depend on them, so the installation continues: see
// docs/decisions/0042-tolerated-values.md.
func (c *Config) ReplaceInvalidLogSettings() (warnings []string) {
	if _, known := netconf.ParseLevel(c.LogLevel); !known {
		if c.LogLevel != "" {
			warnings = append(warnings, fmt.Sprintf("LOG_LEVEL %q: want debug, info, warning or error; using %s",
				c.LogLevel, netconf.DefaultLogLevel))
		}
		c.LogLevel = netconf.DefaultLogLevel
	}
	for _, n := range []struct {
		variable       string
		value          *int
		max, byDefault int
	}{
		{"LOG_FILE_MAX_SIZE", &c.LogFileMaxSize, maxMegabytes, netconf.DefaultLogFileMaxSize},
		{"LOG_FILE_MAX_AGE", &c.LogFileMaxAge, maxDays, netconf.DefaultLogFileMaxAge},
		{"LOG_FILE_MAX_COUNT", &c.LogFileMaxCount, maxFiles, netconf.DefaultLogFileMaxCount},
	} {
		if *n.value < 0 || *n.value > n.max {
			warnings = append(warnings, fmt.Sprintf("%s %d: want 1 to %d, or 0 for the default; using the default, %d",
				n.variable, *n.value, n.max, n.byDefault))
			*n.value = n.byDefault
		}
	}
	return warnings
}
