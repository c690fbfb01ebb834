// Package hostlock serialises processes of one host by a lock on a file.
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
	"calico-cni/internal/safeopen"
)

// ErrBusy says that others held the lock all the time that the caller was willing to wait.
var ErrBusy = errors.New("lock is held by others; wait until they release it")

// Acquire takes the exclusive lock (flock(2)) on the file at path, making the file and its directory as needed, and
// returns what gives it back. It waits until ctx ends, and then returns an error that wraps ErrBusy. Those who wait get
// the lock in the order in which they came: the kernel keeps them in a queue (fs/locks.c), which no polling would have.
// The kernel gives the lock back when the process ends, however it does.
func Acquire(ctx context.Context, path string) (release func(), err error) {
	l, err := open(path)
	if err != nil {
		return nil, err
	}
	return wait(l, path, ctx.Done(), func() error { return deadline.Cause(ctx) })
}

// lock is a lock of the kernel on an open file.
type lock interface {
	TryLock() (bool, error)
	Lock() error
	Unlock() error
}

// wait waits for the lock until stop is closed; why then says what for.
func wait(l lock, path string, stop <-chan struct{}, why func() error) (release func(), err error) {
	unlock := func() { _ = l.Unlock() }
	// flock opens the file with this call, in the mount namespace of the caller's thread.
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
		// Nothing calls off a wait in the kernel. Whoever has left the queue gives back at once what it still gets.
		go func() {
			_ = <-locked
			unlock()
		}()
		return nil, fmt.Errorf("lock %s: %w: %w", path, ErrBusy, why())
	}
}

// Try is Acquire without waiting: an error wraps ErrBusy when somebody else holds the lock.
func Try(path string) (release func(), err error) {
	l, err := open(path)
	if err != nil {
		return nil, err
	}
	return try(l, path)
}

func try(l lock, path string) (release func(), err error) {
	switch held, err := l.TryLock(); {
	case err != nil:
		return nil, fmt.Errorf("lock %s: %w", path, err)
	case !held:
		_ = l.Unlock() // closes the file
		return nil, fmt.Errorf("lock %s: %w", path, ErrBusy)
	}
	return func() { _ = l.Unlock() }, nil
}

// Within is Acquire for those who wait for a time of their own, whatever became of the command's.
func Within(patience time.Duration, path string) (release func(), err error) {
	stop := make(chan struct{})
	timer := time.AfterFunc(patience, func() { close(stop) })
	defer timer.Stop()
	l, err := open(path)
	if err != nil {
		return nil, err
	}
	return wait(l, path, stop, func() error { return fmt.Errorf("%w %s", errWaited, patience) })
}

// errWaited is why a wait ended that had a time of its own.
var errWaited = errors.New("waited for")

// open makes the lock file and its directory as needed. It follows no symbolic link and a FIFO does not block it, so that
// another user of the host cannot direct or delay the plugins by what he puts at the path.
func open(path string) (*flock.Flock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make directory of lock file: %w", err)
	}
	file, _, err := safeopen.File(path, os.O_CREATE|os.O_RDONLY, mode)
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	if err := file.Close(); err != nil {
		return nil, fmt.Errorf("close lock file: %w", err)
	}
	return flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK), flock.SetPermissions(mode)), nil
}

// mode of a lock file: nobody but root may hold up the plugins by taking the lock.
const mode = 0o600
