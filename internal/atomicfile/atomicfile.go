// SPDX-License-Identifier: Apache-2.0

// Package atomicfile replaces files atomically: a reader, or a process that executes the file, always gets the complete
// old or the complete new file with its mode, even after a crash.
//
// A file is written next to its target under a temporary name, checked, and renamed over the target (rename(2)). A
// process that runs an old binary keeps its inode, so a busy binary can be replaced. A target that already has the
// content and mode is left unchanged. A symbolic link is replaced, and its target is left unchanged: in a bin directory
// a link often leads to one program that serves several names, and in a container it may lead elsewhere than on the
// host.
package atomicfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"calico-cni/internal/safeopen"
)

// suffix ends the temporary names. CNI runtimes load no configuration with this suffix (they load .conf, .conflist,
// .json).
const suffix = ".atomicfile"

// Check checks the complete temporary file, which is on disk with its content and mode, before it replaces the target.
// An error keeps the old file.
type Check func(temporary string) error

// WriteFile makes the file at path contain data with exactly that mode, regardless of the umask. It reports whether it
// wrote the file. On an error it keeps the old file and removes the temporary one. The exception is an error of the
// fsync of the directory: the new file is then in place but may be lost in a power failure. An error wraps
// safeopen.ErrNotRegular if the target is neither a regular file nor a symbolic link, or an error of the operating
// system or a check.
func WriteFile(path string, data []byte, mode fs.FileMode, checks ...Check) (written bool, err error) {
	return writeChecked(path, bytes.NewReader(data), mode, checks)
}

// Replace writes data to the file at path, with mode 0600. It never compares the old content and never calls fsync: it
// is for files that need not survive a crash of the host.
func Replace(path string, data []byte) error {
	tmp, err := create(path)
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
	}
	return err
}

// CopyFile is like WriteFile with the content of the file at src.
func CopyFile(dst, src string, mode fs.FileMode, checks ...Check) (written bool, err error) {
	in, err := safeopen.Regular(src)
	if err != nil {
		return false, err
	}
	defer func() { _ = in.Close() }()
	return writeChecked(dst, in, mode, checks)
}

// Holds reports whether path is a regular file with that mode and content. It is false for a symbolic link and for an
// absent file. The error wraps safeopen.ErrNotRegular for any other type of file.
func Holds(path string, content io.Reader, mode fs.FileMode) (bool, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case info.Mode().Type() == fs.ModeSymlink:
		return false, nil
	case !info.Mode().IsRegular():
		return false, fmt.Errorf("%s is %w but %s; move it away", path, safeopen.ErrNotRegular, info.Mode())
	case info.Mode() != mode:
		return false, nil
	}
	// If the file has since become a link or a FIFO, the open neither follows it nor blocks.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	return equal(f, content)
}

func writeChecked(path string, content io.ReadSeeker, mode fs.FileMode, checks []Check) (written bool, err error) {
	if same, err := Holds(path, content, mode); same || err != nil {
		return false, err
	}
	if _, err := content.Seek(0, io.SeekStart); err != nil {
		return false, err
	}
	tmp, err := create(path)
	if err != nil {
		return false, err
	}
	defer func() {
		if !written {
			_ = os.Remove(tmp.Name())
		}
	}()
	if err := fill(tmp, content, mode); err != nil {
		return false, err
	}
	for _, check := range checks {
		if err := check(tmp.Name()); err != nil {
			return false, err
		}
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return false, err
	}
	return true, SyncDir(filepath.Dir(path))
}

// create creates the temporary file for a target, with mode 0600.
func create(path string) (*os.File, error) {
	dir, base := filepath.Split(path)
	return os.CreateTemp(filepath.Clean(dir), "."+base+".*"+suffix)
}

// fill writes the temporary file and closes it in any case. The file can be executed only when no descriptor is open
// for writing (execve(2), ETXTBSY), and its content must be on disk before its name.
func fill(f *os.File, content io.Reader, mode fs.FileMode) error {
	_, err := io.Copy(f, content)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// SyncDir makes the directory entries of dir durable. A file system that cannot sync a directory returns EINVAL
// (fsync(2)), which is ignored.
func SyncDir(dir string) error {
	d, err := safeopen.Dir(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) {
		return err
	}
	return nil
}

func equal(a, b io.Reader) (bool, error) {
	bufA, bufB := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, errA := io.ReadFull(a, bufA)
		m, errB := io.ReadFull(b, bufB)
		switch {
		case failed(errA):
			return false, errA
		case failed(errB):
			return false, errB
		case !bytes.Equal(bufA[:n], bufB[:m]):
			return false, nil
		case errA != nil || errB != nil:
			return true, nil
		}
	}
}

func failed(err error) bool {
	return err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF)
}
