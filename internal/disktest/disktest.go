// SPDX-License-Identifier: Apache-2.0

// Package disktest provides tests with a small file system.
package disktest

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// Small mounts a tmpfs of the given size ("64k", as in the mount option) and returns its directory. The mount is in a
// separate mount namespace of the test's goroutine, whose thread exits with it. Other goroutines do not see the mount,
// but processes that this goroutine starts do. It needs root.
func Small(t *testing.T, size string) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "mnt")
	runtime.LockOSThread()
	for _, step := range []func() error{
		func() error { return os.Mkdir(dir, 0o755) },
		func() error { return syscall.Unshare(syscall.CLONE_FS | syscall.CLONE_NEWNS) },
		func() error { return syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "") },
		func() error { return syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size) },
	} {
		if err := step(); err != nil {
			t.Fatalf("mount a tmpfs (needs root): %v", err)
		}
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}
