package atomicfile

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// tmpfs mounts a file system of that many bytes in a mount namespace of the test's own, which ends with its thread.
func tmpfs(t *testing.T, options string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "mnt")
	runtime.LockOSThread()
	for _, step := range []func() error{
		func() error { return os.Mkdir(dir, 0o755) },
		func() error { return syscall.Unshare(syscall.CLONE_FS | syscall.CLONE_NEWNS) },
		func() error { return syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "") },
		func() error { return syscall.Mount("tmpfs", dir, "tmpfs", 0, options) },
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

func TestAFullFileSystemKeepsTheOldFileAndNoTemporary(t *testing.T) {
	dir := tmpfs(t, "size=64k")
	path := filepath.Join(dir, "f")
	put(t, path, "old", 0o644)
	if written, err := WriteFile(path, bytes.Repeat([]byte{'n'}, 256<<10), 0o644); written || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("WriteFile = %v, %v; want ENOSPC", written, err)
	}
	checkTree(t, dir, "-rw-r--r-- f old\n")
	if _, err := WriteFile(path, []byte("new"), 0o644); err != nil {
		t.Errorf("with room again: %v", err)
	}
	checkTree(t, dir, "-rw-r--r-- f new\n")
}
