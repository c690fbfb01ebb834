package logfile

import (
	"io"
	"log/slog"
)

// Logger logs as text to stderr, and the same lines to the file, if the options have a path. What goes wrong with the file
// is said on stderr once, and from then on stderr has the log alone: no command fails for its log.
func Logger(stderr io.Writer, o Options, level slog.Level) *slog.Logger {
	t := &tee{stderr: stderr, path: o.Path}
	if o.Path != "" {
		t.file = Open(o)
	}
	return slog.New(slog.NewTextHandler(t, &slog.HandlerOptions{Level: level}))
}

// tee is two writers, of which the handler calls one at a time. The file is nil when there is none, or none any more.
type tee struct {
	stderr io.Writer
	path   string
	file   io.Writer
}

func (t *tee) Write(line []byte) (int, error) {
	n, err := t.stderr.Write(line)
	if t.file == nil {
		return n, err
	}
	if _, failed := t.file.Write(line); failed != nil {
		t.file = nil
		slog.New(slog.NewTextHandler(t.stderr, nil)).Warn("log goes to standard error alone", "path", t.path, "error", failed)
	}
	return n, err
}
