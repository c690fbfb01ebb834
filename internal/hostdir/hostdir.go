// SPDX-License-Identifier: Apache-2.0

// Package hostdir creates the directories in which the plugins keep state on the host, and explains why a file in such
// a directory cannot be created.
package hostdir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Make is os.MkdirAll with an error of Explain.
func Make(dir string, perm fs.FileMode) error { return Explain(dir, os.MkdirAll(dir, perm)) }

// Absent reports whether err says that a path does not exist, or cannot exist because one of its directories is
// something else.
func Absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP)
}

// Explain adds the remedy to the error of an operation in a directory. If a file is in the place of the directory or of
// one of its parents, the error wraps ENOTDIR and names the file.
func Explain(dir string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w; mount the file system of %s read-write", err, dir)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w; give root the permission to write to %s", err, dir)
	}
	if path := obstacle(dir); path != "" {
		return fmt.Errorf("%s is %w; remove it, so that a directory can be created there", path, syscall.ENOTDIR)
	}
	return err
}

// obstacle returns the path of what prevents the creation of a directory, or nothing.
func obstacle(dir string) string {
	for path := filepath.Clean(dir); ; path = filepath.Dir(path) {
		if _, err := os.Lstat(path); err == nil {
			if info, err := os.Stat(path); err == nil && info.IsDir() {
				return ""
			}
			return path
		}
		if path == filepath.Dir(path) {
			return ""
		}
	}
}
