// SPDX-License-Identifier: Apache-2.0

package nodestate

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"calico-cni/internal/safeopen"
)

// line is the content of a mark or record: a version, a phase, a time since boot in nanoseconds, and further fields. No
// field contains a space: the CNI specification forbids spaces in networks and containers, the kernel in interfaces.
type line struct {
	version, phase string
	at             time.Duration
	rest           []string
}

func (l line) String() string {
	return fmt.Sprintf("%s %s %020d %s\n", l.version, l.phase, int64(l.at), strings.Join(l.rest, " "))
}

// parseLine returns false if the content is empty or torn, has another version, or not that number of further fields.
func parseLine(data, version string, further int) (l line, ok bool) {
	fields := strings.Fields(data)
	if !strings.HasSuffix(data, "\n") || len(fields) != 3+further || fields[0] != version {
		return l, false
	}
	at, err := strconv.ParseInt(fields[2], 10, 64)
	return line{fields[0], fields[1], time.Duration(at), fields[3:]}, err == nil
}

// openShared opens the file at path, creates it if needed, and takes a shared lock. It retries if another process
// removes the file before it is locked.
func openShared(path string) (f *os.File, created bool, err error) {
	for {
		f, _, err := safeopen.File(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		created := err == nil
		if errors.Is(err, os.ErrExist) {
			f, _, err = safeopen.File(path, os.O_RDWR|os.O_CREATE, 0o600)
		}
		if err != nil {
			return nil, false, err
		}
		// Exclusive locks are held only during a few system calls.
		if err := flock(f, unix.LOCK_SH); err != nil {
			return nil, false, errors.Join(err, f.Close())
		}
		if isCurrent(f) {
			return f, created, nil
		}
		_ = f.Close()
	}
}

// tryExclusive opens the file at path and takes the exclusive lock. It fails if another process holds a lock.
func tryExclusive(path string) (*os.File, error) {
	f, _, err := safeopen.File(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	if err := flock(f, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// flock is flock(2), which a signal to the process may interrupt.
func flock(f *os.File, how int) error {
	for {
		if err := unix.Flock(int(f.Fd()), how); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// isCurrent reports whether an open file is still the one at its path.
func isCurrent(f *os.File) bool {
	opened, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(f.Name())
	return err == nil && os.SameFile(opened, there)
}

// contentOf returns the content of an open mark or record, or nothing if it cannot be read.
func contentOf(f *os.File) string {
	data, _ := io.ReadAll(io.NewSectionReader(f, 0, 4096))
	return string(data)
}

// paths returns the paths of all files in a directory.
func paths(dir string) (out []string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		out = append(out, filepath.Join(dir, e.Name()))
	}
	return out
}
