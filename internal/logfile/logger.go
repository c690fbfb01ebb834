// SPDX-License-Identifier: Apache-2.0

package logfile

import (
	"io"
	"log/slog"
)

// Logger logs as text to stderr and, if the options have a path, the same lines to the file. It reports the first error
// of the file on stderr and then logs to stderr only. No command fails because of its log.
func Logger(stderr io.Writer, o Options, level slog.Level) *slog.Logger {
	t := &tee{stderr: stderr, path: o.Path}
	if o.Path != "" {
		t.file = Open(o)
	}
	return slog.New(slog.NewTextHandler(t, &slog.HandlerOptions{Level: level}))
}

// tee writes to two writers. The handler does not call it concurrently. The file is nil if there is none, or after an
// error.
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
		slog.New(slog.NewTextHandler(t.stderr, nil)).Warn("logging to standard error only", "path", t.path, "error",
			failed)
	}
	return n, err
}
