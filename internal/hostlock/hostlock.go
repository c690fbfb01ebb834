// SPDX-License-Identifier: Apache-2.0

// Package hostlock serializes processes of one host with a lock on a file.
package hostlock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gofrs/flock"

	"calico-cni/internal/deadline"
	"calico-cni/internal/hostdir"
	"calico-cni/internal/safeopen"
)

// ErrBusy: other processes held the lock during the whole wait.
var ErrBusy = errors.New("lock is held by others; wait until they release it")

// Acquire takes the exclusive lock (flock(2)) on the file at path and returns a function that releases it. It creates
// the file and its directory as needed. If ctx ends first, the error wraps ErrBusy. Waiters get the lock in the order
// of their arrival, because the kernel queues them (fs/locks.c); polling would not give this order. The kernel releases
// the lock when the process ends for any reason.
func Acquire(ctx context.Context, path string) (release func(), err error) {
	l, err := open(path)
	if err != nil {
		return nil, err
	}
	return wait(l, path, ctx.Done(), func() error { return deadline.Cause(ctx) })
}

// lock is a kernel lock on an open file.
type lock interface {
	TryLock() (bool, error)
	Lock() error
	Unlock() error
}

// wait waits for the lock until stop is closed. why then returns the reason.
func wait(l lock, path string, stop <-chan struct{}, why func() error) (release func(), err error) {
	unlock := func() { _ = l.Unlock() }
	// With flock this opens the file in the caller's thread and therefore in its mount namespace.
	if held, err := l.TryLock(); held {
		return unlock, nil
	} else if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	locked := make(chan error, 1)
	go func() { locked <- l.Lock() }()
	select {
	case err := <-locked:
		if err != nil {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		return unlock, nil
	case <-stop:
		// A wait in the kernel cannot be cancelled. If the lock arrives after the wait has ended, release it at once.
		go func() {
			if <-locked == nil {
				unlock()
			}
		}()
		return nil, fmt.Errorf("lock %s: %w: %w", path, ErrBusy, why())
	}
}

// Try is like Acquire without waiting. Its error wraps ErrBusy if another process holds the lock.
func Try(path string) (release func(), err error) {
	l, err := open(path)
	if err != nil {
		return nil, err
	}
	return tryLock(l, path)
}

func tryLock(l lock, path string) (release func(), err error) {
	switch held, err := l.TryLock(); {
	case err != nil:
		return nil, fmt.Errorf("lock %s: %w", path, err)
	case !held:
		_ = l.Unlock() // closes the file
		return nil, fmt.Errorf("lock %s: %w", path, ErrBusy)
	}
	return func() { _ = l.Unlock() }, nil
}

// Within is like Acquire with its own time limit, independent of the command's deadline.
func Within(timeout time.Duration, path string) (release func(), err error) {
	stop := make(chan struct{})
	timer := time.AfterFunc(timeout, func() { close(stop) })
	defer timer.Stop()
	l, err := open(path)
	if err != nil {
		return nil, err
	}
	return wait(l, path, stop, func() error { return fmt.Errorf("%w %s", errWaited, timeout) })
}

// errWaited is the reason if the time limit of Within ended the wait.
var errWaited = errors.New("waited for")

// open creates the lock file and its directory as needed. It follows no symbolic link and does not block on a FIFO, so
// that another user of the host cannot redirect or delay the plugins.
func open(path string) (*flock.Flock, error) {
	if err := hostdir.Make(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("create directory of lock file: %w", err)
	}
	file, _, err := safeopen.File(path, os.O_CREATE|os.O_RDONLY, mode)
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", hostdir.Explain(filepath.Dir(path), err))
	}
	if err := file.Close(); err != nil {
		return nil, fmt.Errorf("close lock file: %w", err)
	}
	return flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK),
		flock.SetPermissions(mode)), nil
}

// mode is the mode of a lock file. Only root may take the lock, and so delay the plugins.
const mode = 0o600
