// SPDX-License-Identifier: Apache-2.0

package netconf

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Warning reports a value of the configuration that Parse replaces or ignores. Calico attaches pods despite such a
// value; an error would reject every pod on a node that works with Calico.
type Warning struct {
	// Field is the path of the field; Value is the configured value.
	Field, Value string
	// Advice says what is allowed and what the plugins use instead.
	Advice string
}

// warnings collects the warnings about one configuration.
type warnings []Warning

func (w *warnings) add(field string, value any, advice string) {
	*w = append(*w, Warning{field, clip(show(value)), advice})
}

// tolerate replaces meaningless values that Calico accepts in a normalized configuration.
func tolerate(c *NetConf, w *warnings) {
	level, ok := ParseLevel(c.LogLevel)
	if !ok {
		w.add("log_level", c.LogLevel, fmt.Sprintf(`want "debug", "info", "warning" or "error"; using %q`,
			DefaultLogLevel))
		level = DefaultLogLevel
	}
	c.LogLevel = level
	w.bound("log_file_max_size", &c.LogFileMaxSize, 1, maxMegabytes, DefaultLogFileMaxSize, "megabytes")
	w.bound("log_file_max_age", &c.LogFileMaxAge, 1, maxDays, DefaultLogFileMaxAge, "days")
	w.bound("log_file_max_count", &c.LogFileMaxCount, 1, math.MaxInt, DefaultLogFileMaxCount, "files")
	w.bound("burst", &c.Burst, 0, math.MaxInt, 0, "requests")
	if c.NumQueues < 1 {
		w.add("num_queues", c.NumQueues, fmt.Sprintf("want 1 to %d; using %d", maxQueues, DefaultNumQueues))
		c.NumQueues = DefaultNumQueues
	}
	if c.PolicySetupTimeoutSeconds > maxSeconds {
		w.add("policy_setup_timeout_seconds", c.PolicySetupTimeoutSeconds,
			fmt.Sprintf("want seconds up to %d; using that", maxSeconds))
		c.PolicySetupTimeoutSeconds = maxSeconds
	}
}

// bound replaces an out-of-range value by the default.
func (w *warnings) bound(field string, value *int, least, most, byDefault int, unit string) {
	if *value >= least && *value <= most {
		return
	}
	limit := ""
	if most < math.MaxInt {
		limit = fmt.Sprintf(", %d at most", most)
	}
	w.add(field, *value, fmt.Sprintf("want a number of %s%s; using the default, %d", unit, limit, byDefault))
	*value = byDefault
}

// ParseLevel returns the log level for a name: one of the four levels, or the name that another logger uses for it, in
// any case. ok is false for any other name.
func ParseLevel(name string) (level string, ok bool) {
	switch level := strings.ToLower(name); level {
	case "debug", "info", "warning", "error":
		return level, true
	case "trace":
		return "debug", true
	case "warn":
		return "warning", true
	case "fatal", "panic":
		return "error", true
	}
	return "", false
}

const (
	// maxMegabytes is the limit of an int64 in bytes; maxDays is that of a time.Duration.
	maxMegabytes = math.MaxInt64 >> 20
	maxDays      = math.MaxInt64 / int(24*time.Hour)
	// maxSeconds is one day, longer than any runtime waits for a pod.
	maxSeconds = 24 * 60 * 60
	// maxQueues is the limit of the kernel (rtnl_create_link).
	maxQueues = 4096
)
