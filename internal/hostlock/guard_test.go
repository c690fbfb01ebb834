// SPDX-License-Identifier: Apache-2.0

package hostlock

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"calico-cni/internal/safeopen"
)

func TestLockFileMustBeRegular(t *testing.T) {
	for name, put := range map[string]func(path string) error{
		"symbolic link": func(path string) error { return os.Symlink(path+".target", path) },
		"FIFO":          func(path string) error { return syscall.Mkfifo(path, 0o600) },
	} {
		path := filepath.Join(t.TempDir(), "lock")
		if err := put(path); err != nil {
			t.Fatal(err)
		}
		if _, err := Try(path); !errors.Is(err, safeopen.ErrNotRegular) {
			t.Errorf("Try on a %s: %v", name, err)
		}
		if _, err := Acquire(t.Context(), path); !errors.Is(err, safeopen.ErrNotRegular) {
			t.Errorf("Acquire on a %s: %v", name, err)
		}
		if _, err := os.Lstat(path + ".target"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("target of the %s: %v, want none", name, err)
		}
	}
}
