// Package disktest gives tests a file system that is soon full.
package disktest

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// Small mounts a tmpfs of that size, as its mount option has it ("64k"), and returns its directory. The mount is in a mount
// namespace of the test's goroutine, which stays on its thread and ends with it: other goroutines do not see the mount, and
// processes that this one starts do. It needs root.
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
