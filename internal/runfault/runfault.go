// SPDX-License-Identifier: Apache-2.0

// Package runfault explains in plain words why a program could not be run, or failed.
package runfault

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"syscall"
)

// Plain returns an error of package os/exec in words for a user: a clause about the program, without its name. An error
// that it does not know it returns as it is. The result matches the same errors as err.
func Plain(err error) error {
	var lookup *exec.Error
	if errors.As(err, &lookup) {
		err = lookup.Err
	}
	var file *fs.PathError
	interpreted := false
	if errors.As(err, &file) {
		_, missing := os.Stat(file.Path)
		interpreted = missing == nil && errors.Is(err, syscall.ENOENT)
		err = file.Err
	}
	if interpreted {
		return plainError{"its interpreter, in the #! line, or its dynamic loader does not exist", err}
	}
	if text := explain(err); text != "" {
		return plainError{text, err}
	}
	return err
}

func explain(err error) string {
	var failed *exec.ExitError
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return "no such file in PATH"
	case errors.Is(err, exec.ErrDot):
		return "PATH finds it only in the current directory"
	case errors.Is(err, syscall.ENOENT):
		return "no such file"
	case errors.Is(err, fs.ErrPermission):
		return "the file is not executable, or may not be run here (noexec, seccomp or SELinux)"
	case errors.Is(err, syscall.ENOEXEC):
		return "the file is not a program for this architecture, or is a script without #! line (exec format error)"
	case errors.Is(err, exec.ErrWaitDelay):
		return "it ends, but a process that it started keeps its output open"
	case errors.As(err, &failed):
		if status, ok := failed.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return fmt.Sprintf("it is killed by the signal %q", status.Signal())
		}
		return fmt.Sprintf("it exits with code %d", failed.ExitCode())
	}
	return ""
}

// plainError is an error with another text.
type plainError struct {
	text  string
	cause error
}

func (e plainError) Error() string { return e.text }
func (e plainError) Unwrap() error { return e.cause }
