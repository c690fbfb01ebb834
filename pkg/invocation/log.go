// SPDX-License-Identifier: Apache-2.0

package invocation

import (
	"io"
	"log/slog"
	"time"

	"calico-cni/internal/logfile"
	"calico-cni/pkg/netconf"
)

// LogTo returns what opens the log that a configuration asks for: always stderr, and the file if it names one. A
// configuration in which the level could not be read has that of info. The log begins with the configuration's
// warnings.
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
