// SPDX-License-Identifier: Apache-2.0

package hostlock

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"calico-cni/internal/safeopen"
)

func TestDirectoryErrorsHaveRemedy(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for dir, remedy := range map[string]string{
		file:            file + " is not a directory; remove it",
		"/sys/kernel/x": "write to /sys/kernel/x", // not even root can create a directory in sysfs
	} {
		path := filepath.Join(dir, "lock")
		_, errLock := Try(path)
		_, errPart := TryPart(path, "a")
		for _, err := range []error{errLock, errPart} {
			if err == nil || !strings.Contains(err.Error(), remedy) {
				t.Errorf("error %v, want %q", err, remedy)
			}
		}
	}
}

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
