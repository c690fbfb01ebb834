package netconf

import (
	"fmt"
	"math"
	"time"
)

// Warning is a value of the configuration that Parse replaces or ignores. Calico attaches pods with such a value, so that
// an error would refuse every pod of a node that worked before.
type Warning struct {
	// Field is the path of the field, Value the value as the configuration has it.
	Field, Value string
	// Advice says what is allowed, and what the plugins use instead.
	Advice string
}

func (c *NetConf) warn(field string, value any, advice string) {
	c.Warnings = append(c.Warnings, Warning{field, clip(show(value)), advice})
}

// tolerate replaces the values of a normalized configuration that Calico accepts and that make no sense.
func (c *NetConf) tolerate() {
	level, ok := ParseLevel(c.LogLevel)
	if !ok {
		c.warn("log_level", c.LogLevel, fmt.Sprintf(`want "debug", "info", "warning" or "error"; using %q`, DefaultLogLevel))
		level = DefaultLogLevel
	}
	c.LogLevel = level
	c.bound("log_file_max_size", &c.LogFileMaxSize, 1, maxMegabytes, DefaultLogFileMaxSize, "megabytes")
	c.bound("log_file_max_age", &c.LogFileMaxAge, 1, maxDays, DefaultLogFileMaxAge, "days")
	c.bound("log_file_max_count", &c.LogFileMaxCount, 1, math.MaxInt, DefaultLogFileMaxCount, "files")
	c.bound("burst", &c.Burst, 0, math.MaxInt, 0, "requests")
	if c.NumQueues < 1 {
		c.warn("num_queues", c.NumQueues, fmt.Sprintf("want 1 to %d; using %d", maxQueues, DefaultNumQueues))
		c.NumQueues = DefaultNumQueues
	}
	if c.PolicySetupTimeoutSeconds > maxSeconds {
		c.warn("policy_setup_timeout_seconds", c.PolicySetupTimeoutSeconds, fmt.Sprintf("want seconds up to %d; using that", maxSeconds))
		c.PolicySetupTimeoutSeconds = maxSeconds
	}
}

// bound replaces a value outside of its range by the default.
func (c *NetConf) bound(field string, value *int, least, most, byDefault int, unit string) {
	if *value >= least && *value <= most {
		return
	}
	limit := ""
	if most < math.MaxInt {
		limit = fmt.Sprintf(", %d at most", most)
	}
	c.warn(field, *value, fmt.Sprintf("want a number of %s%s; using the default, %d", unit, limit, byDefault))
	*value = byDefault
}

const (
	// maxMegabytes is what an int64 holds in bytes, maxDays what a time.Duration holds.
	maxMegabytes = math.MaxInt64 >> 20
	maxDays      = math.MaxInt64 / int(24*time.Hour)
	// maxSeconds is a day, longer than any runtime waits for a pod.
	maxSeconds = 24 * 60 * 60
	// maxQueues is the kernel's bound (rtnl_create_link).
	maxQueues = 4096
)
