// SPDX-License-Identifier: Apache-2.0

// Package safeopen opens files at paths where another user of the host may have placed something else, such as a
// symbolic link to a file of root, or a FIFO that blocks the open. It guards only the last component of a path;
// directories may be symbolic links.
package safeopen

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// ErrNotRegular: the path does not name a regular file.
var ErrNotRegular = errors.New("not a regular file")

// MaxRead is the maximum size in bytes of a file that Read reads.
const MaxRead = 1 << 20

// guards prevent an open from following a link and from blocking on a FIFO. The os package adds O_CLOEXEC.
const guards = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

// File opens the regular file at path, and creates it if flags contains os.O_CREATE. It follows no symbolic link and
// does not block. An error wraps ErrNotRegular or comes from the operating system.
func File(path string, flags int, perm fs.FileMode) (*os.File, fs.FileInfo, error) {
	return open(path, flags|guards, perm)
}

// Regular opens the regular file at path for reading. It follows symbolic links of any owner and does not block. It is
// for files of other programs that may be links, such as the projected token of a service account. An error wraps
// ErrNotRegular or comes from the operating system.
func Regular(path string) (*os.File, error) {
	file, _, err := open(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	return file, err
}

// Dir opens the directory at path for reading. It follows symbolic links and does not block. It returns ENOTDIR from
// the operating system if path is something else.
func Dir(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NONBLOCK, 0)
}

// Read returns the content of the regular file at path. It follows a symbolic link only if the link belongs to the user
// of this process. It does not block, and fails for files larger than MaxRead. An error wraps ErrNotRegular or comes
// from the operating system.
func Read(path string) ([]byte, error) {
	file, info, err := open(path, os.O_RDONLY|guards, 0)
	if errors.Is(err, syscall.ELOOP) && ownLink(path) {
		file, info, err = open(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	}
	if err != nil {
		return nil, err
	}
	return readAll(file, info)
}

// ReadRegular is Read for paths like those of Regular: it follows symbolic links of any owner.
func ReadRegular(path string) ([]byte, error) {
	file, info, err := open(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	return readAll(file, info)
}

// readAll returns the content of an open file, and closes it.
func readAll(file *os.File, info fs.FileInfo) ([]byte, error) {
	defer func() { _ = file.Close() }()
	if info.Size() > MaxRead {
		return nil, fmt.Errorf("%s has %d bytes, want %d at most; replace it", file.Name(), info.Size(), MaxRead)
	}
	var content bytes.Buffer
	content.Grow(int(info.Size()) + bytes.MinRead)
	_, err := content.ReadFrom(io.LimitReader(file, MaxRead))
	return content.Bytes(), err
}

// WriteFile is os.WriteFile for a regular file: it follows no symbolic link and does not block.
func WriteFile(path string, data []byte, perm fs.FileMode) error {
	file, _, err := File(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, perm)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	return errors.Join(err, file.Close())
}

func open(path string, flags int, perm fs.FileMode) (*os.File, fs.FileInfo, error) {
	file, err := os.OpenFile(path, flags, perm)
	switch {
	case errors.Is(err, syscall.ELOOP):
		return nil, nil, &NotRegularError{path, "a symbolic link", syscall.ELOOP}
	case errors.Is(err, syscall.ENXIO):
		// ENXIO: a FIFO without a reader cannot be opened for writing, and a socket cannot be opened.
		return nil, nil, &NotRegularError{path, "a FIFO or a socket", syscall.ENXIO}
	case err != nil:
		return nil, nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &NotRegularError{path, kind(info.Mode()), nil}
	}
	if err != nil {
		_ = file.Close()
		return nil, nil, err
	}
	return file, info, nil
}

// NotRegularError is an ErrNotRegular with its cause.
type NotRegularError struct {
	// Path is the opened path; Kind describes its file type, such as "a FIFO".
	Path, Kind string
	errno      error
}

// Error names the path, its kind and the remedy.
func (e *NotRegularError) Error() string {
	return fmt.Sprintf("%s is %s and %v; remove it", e.Path, e.Kind, ErrNotRegular)
}

// Unwrap returns ErrNotRegular, and the error of the operating system if there is one.
func (e *NotRegularError) Unwrap() []error {
	if e.errno == nil {
		return []error{ErrNotRegular}
	}
	return []error{ErrNotRegular, e.errno}
}

func kind(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeNamedPipe != 0:
		return "a FIFO"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "a special file"
}

// ownLink reports whether path is a symbolic link that belongs to the user of this process.
func ownLink(path string) bool {
	info, err := os.Lstat(path)
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && info.Mode().Type() == fs.ModeSymlink && int(stat.Uid) == os.Geteuid()
}
