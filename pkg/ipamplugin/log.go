package ipamplugin

import (
	"io"
	"log/slog"
	"time"

	"calico-cni/internal/logfile"
	"calico-cni/pkg/netconf"
)

// LogTo returns what opens the log that a configuration asks for: always stderr, and the file if it names one. A
// configuration in which the level could not be read has that of info.
func LogTo(stderr io.Writer, now func() time.Time) func(*netconf.NetConf) *slog.Logger {
	return func(c *netconf.NetConf) *slog.Logger {
		return logfile.Logger(stderr, logfile.Options{
			Path: c.LogFilePath, MaxSize: int64(c.LogFileMaxSize) << 20,
			MaxAge: time.Duration(c.LogFileMaxAge) * 24 * time.Hour, MaxCount: c.LogFileMaxCount, Now: now,
		}, c.Level())
	}
}
