// SPDX-License-Identifier: Apache-2.0

package hostlock

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"calico-cni/internal/deadline"
	"calico-cni/internal/hostdir"
	"calico-cni/internal/safeopen"
)

// AcquirePart is like Acquire for one part of what the file at path protects. Processes that lock different parts do
// not wait for each other. A part does not conflict with the lock of Acquire on the same file. The number of parts is
// unlimited and needs no disk space. Two names share a part with a probability of 2^-63.
//
// A part is one byte of the file, which need not exist: the lock is an open file description lock (fcntl(2)).
func AcquirePart(ctx context.Context, path, name string) (release func(), err error) {
	l, err := openPart(path, name)
	if err != nil {
		return nil, err
	}
	return wait(l, path, ctx.Done(), func() error { return deadline.Cause(ctx) })
}

// TryPart is like AcquirePart without waiting. Its error wraps ErrBusy if another process holds the lock.
func TryPart(path, name string) (release func(), err error) {
	l, err := openPart(path, name)
	if err != nil {
		return nil, err
	}
	return tryLock(l, path)
}

// part is a lock on one byte of a file.
type part struct {
	file   *os.File
	offset int64
}

func openPart(path, name string) (*part, error) {
	if err := hostdir.Make(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("create directory of lock file: %w", err)
	}
	// The kernel grants a write lock only on a file that is open for writing.
	file, _, err := safeopen.File(path, os.O_CREATE|os.O_RDWR, mode)
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", hostdir.Explain(filepath.Dir(path), err))
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	return &part{file: file, offset: int64(h.Sum64() >> 1)}, nil
}

// TryLock reports whether it got the lock. If not, it closes the file.
func (p *part) TryLock() (bool, error) {
	err := p.setLock(unix.F_OFD_SETLK)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return false, nil
	}
	return err == nil, err
}

// Lock waits for the lock.
func (p *part) Lock() error { return p.setLock(unix.F_OFD_SETLKW) }

// Unlock releases the lock by closing the open file description.
func (p *part) Unlock() error { return p.file.Close() }

func (p *part) setLock(command int) error {
	for {
		err := unix.FcntlFlock(p.file.Fd(), command, &unix.Flock_t{Type: unix.F_WRLCK, Start: p.offset, Len: 1})
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
