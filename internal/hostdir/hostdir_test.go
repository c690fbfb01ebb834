// SPDX-License-Identifier: Apache-2.0

package hostdir_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"calico-cni/internal/hostdir"
)

func TestMakeNamesObstacle(t *testing.T) {
	for name, put := range map[string]func(path string) error{
		"file":          func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"FIFO":          func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"link to file":  func(path string) error { return os.Symlink("/etc/passwd", path) },
		"dangling link": func(path string) error { return os.Symlink(path+".none", path) },
		"link loop":     func(path string) error { return os.Symlink(path, path) },
	} {
		for _, below := range []string{"", "deleted"} {
			t.Run(name+" "+below, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "state")
				if err := put(path); err != nil {
					t.Fatal(err)
				}
				err := hostdir.Make(filepath.Join(path, below), 0o755)
				if !errors.Is(err, syscall.ENOTDIR) || !strings.Contains(err.Error(), path+" is not a directory; remove it") {
					t.Errorf("error %v", err)
				}
				_, err = os.Lstat(filepath.Join(path, "deleted", "record"))
				if !hostdir.Absent(err) {
					t.Errorf("Absent(%v) = false", err)
				}
			})
		}
	}
}

func TestMakeCreatesDirectories(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	for range 2 {
		if err := hostdir.Make(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	link := dir + ".link"
	if err := errors.Join(os.Symlink(dir, link), hostdir.Make(link, 0o755)); err != nil {
		t.Errorf("link to a directory: %v", err)
	}
}

func TestExplainAddsRemedy(t *testing.T) {
	dir := t.TempDir()
	for errno, want := range map[syscall.Errno]string{
		syscall.EROFS:  "mount the file system of " + dir + " read-write",
		syscall.EACCES: "permission to write to " + dir,
	} {
		err := hostdir.Explain(dir, fmt.Errorf("open: %w", &fs.PathError{Op: "open", Path: dir, Err: errno}))
		if !errors.Is(err, errno) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if err := hostdir.Explain(dir, nil); err != nil {
		t.Error(err)
	}
}
