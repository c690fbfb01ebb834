// SPDX-License-Identifier: Apache-2.0

package invocation

import (
	"io"
	"log/slog"
	"time"

	"calico-cni/internal/logfile"
	"calico-cni/pkg/netconf"
)

// LogTo returns a function that opens the log of a configuration: stderr, and the file if the configuration names one.
// The level is info if the configuration has no readable level. The log begins with the warnings of the configuration.
func LogTo(stderr io.Writer, now func() time.Time) func(*netconf.NetConf) *slog.Logger {
	return func(c *netconf.NetConf) *slog.Logger {
		log := logfile.Logger(stderr, logfile.Options{
			Path: c.LogFilePath, MaxSize: int64(c.LogFileMaxSize) << 20,
			MaxAge: time.Duration(c.LogFileMaxAge) * 24 * time.Hour, MaxCount: c.LogFileMaxCount, Now: now,
		}, c.Level())
		for _, w := range c.Warnings {
			log.Warn("configuration field has no valid value", "field", w.Field, "value", w.Value, "advice", w.Advice)
		}
		return log
	}
}
