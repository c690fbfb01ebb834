// Package atomicfile replaces files so that whoever reads or runs them meets the old file or the new one, whole and with
// its mode, and never anything between; so too after a crash.
//
// A file is written beside its target under a temporary name, checked, and renamed over it (rename(2)). The running
// program of an old binary keeps its inode, so that a busy binary is no obstacle. A target that already holds the bytes
// and the mode is not touched. A target that is a symbolic link is itself replaced and what it points to is left alone:
// in a bin directory such a link often leads to one program that serves several names, and seen from a container it may
// lead elsewhere than on the host.
package atomicfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// ErrNotRegular: the target exists and is neither a regular file nor a symbolic link.
var ErrNotRegular = errors.New("not a regular file")

// suffix ends the temporary names: nothing that a CNI runtime takes for a configuration (.conf, .conflist, .json).
const suffix = ".atomicfile"

// Check looks at the finished temporary, which has its bytes and its mode and is on disk, before it takes its place. An
// error keeps the old file.
type Check func(temporary string) error

// WriteFile makes the file at path hold data and have exactly that mode, whatever the umask. It says whether it had to
// write. On an error the old file is still there and the temporary is not, unless the error came from the directory's
// fsync, when the new file is in place but may not survive a power failure. An error wraps ErrNotRegular or what the
// operating system or a check said.
func WriteFile(path string, data []byte, mode fs.FileMode, checks ...Check) (written bool, err error) {
	return replace(path, bytes.NewReader(data), mode, checks)
}

// CopyFile is WriteFile with the bytes of the file at src.
func CopyFile(dst, src string, mode fs.FileMode, checks ...Check) (written bool, err error) {
	in, err := os.Open(src)
	if err != nil {
		return false, err
	}
	defer func() { _ = in.Close() }()
	return replace(dst, in, mode, checks)
}

// Holds says whether path is a regular file of that mode with the bytes of content. A symbolic link is not, and nothing
// is not. An error wraps ErrNotRegular for everything else.
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
		return false, fmt.Errorf("%s is %w but %s; move it away", path, ErrNotRegular, info.Mode())
	case info.Mode() != mode:
		return false, nil
	}
	// Should it have become a link or a pipe since, neither is followed and neither blocks.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	return equal(f, content)
}

// Sweep removes temporaries in dir that were last written before the given time: those of writers that were killed. It
// returns the first error, after having tried all.
func Sweep(dir string, before time.Time) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var failed error
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") || !strings.HasSuffix(e.Name(), suffix) || !e.Type().IsRegular() {
			continue
		}
		info, err := e.Info()
		if err == nil && info.ModTime().Before(before) {
			err = os.Remove(filepath.Join(dir, e.Name()))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) && failed == nil {
			failed = err
		}
	}
	return failed
}

func replace(path string, content io.ReadSeeker, mode fs.FileMode, checks []Check) (written bool, err error) {
	if same, err := Holds(path, content, mode); same || err != nil {
		return false, err
	}
	if _, err := content.Seek(0, io.SeekStart); err != nil {
		return false, err
	}
	dir, base := filepath.Split(path)
	tmp, err := os.CreateTemp(filepath.Clean(dir), "."+base+".*"+suffix)
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
	return true, SyncDir(filepath.Clean(dir))
}

// fill writes, and closes in any case. The descriptor for writing has to be gone before anybody may run the file
// (execve(2), ETXTBSY), and its bytes on disk before the name is.
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

// SyncDir makes durable what names dir has. File systems that cannot do that to a directory say EINVAL (fsync(2)), which
// is no error here.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
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
