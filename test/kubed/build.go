// SPDX-License-Identifier: Apache-2.0

package kubed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// killDelay limits the time in which an interrupted go command ends. It waits for its compilers.
const killDelay = 2 * time.Second

// build compiles the module's main package to output.
func (b Builder) build(ctx context.Context, output string) error {
	progress := newProgress(b.Progress)
	defer progress.close()
	progress.phase("listing packages to compile")
	stale, err := b.stale(ctx, progress)
	if err != nil {
		return err
	}
	progress.compile(stale)
	args := append([]string{"build", "-v", "-o", output}, b.Flags...)
	if err := b.run(ctx, progress.line, nil, append(args, ".")...); err != nil {
		return fmt.Errorf("build kubed: %w", err)
	}
	progress.phase("built")
	return nil
}

// stale returns the packages that the build cache lacks. It downloads missing modules.
func (b Builder) stale(ctx context.Context, progress *progress) ([]string, error) {
	var out strings.Builder
	// The main package itself is always stale to `go list`, because it is not installed.
	const format = `{{if and .Stale (ne .Name "main")}}{{.ImportPath}}{{end}}`
	args := append([]string{"list", "-deps", "-f", format}, b.Flags...)
	if err := b.run(ctx, progress.line, &out, append(args, ".")...); err != nil {
		return nil, fmt.Errorf("list packages of kubed: %w", err)
	}
	return strings.Fields(out.String()), nil
}

// run executes a go command and passes each line of its standard error to progress. An error contains the lines that
// are not progress.
func (b Builder) run(ctx context.Context, progress func(line string) bool, stdout io.Writer, args ...string) error {
	stderr := &lines{progress: progress}
	cmd := b.goCommand(ctx, args...)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = killDelay
	err := cmd.Run()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return &OutputError{Err: err, Output: stderr.text()}
}

// lines is a writer that keeps the lines that are not progress.
type lines struct {
	progress func(line string) bool
	begun    []byte // an incomplete line
	kept     []string
}

func (l *lines) Write(p []byte) (int, error) {
	l.begun = append(l.begun, p...)
	for {
		line, rest, ok := bytes.Cut(l.begun, []byte("\n"))
		if !ok {
			return len(p), nil
		}
		if text := string(line); !l.progress(text) {
			l.kept = append(l.kept, text)
		}
		l.begun = rest
	}
}

func (l *lines) text() string { return strings.Join(append(l.kept, string(l.begun)), "\n") }

// OutputError is the error of a go command with its output.
type OutputError struct {
	Err    error
	Output string
}

func (e *OutputError) Error() string { return e.Err.Error() + "\n" + e.Output }

func (e *OutputError) Unwrap() error { return e.Err }

// withStderr adds the standard error of a command to the error of its Output method.
func withStderr(err error) error {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return &OutputError{Err: err, Output: string(exit.Stderr)}
	}
	return err
}
