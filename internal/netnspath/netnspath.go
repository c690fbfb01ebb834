// SPDX-License-Identifier: Apache-2.0

// Package netnspath opens network namespaces by path.
package netnspath

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// ErrNone: the path is not that of a network namespace. There is no such file, or it is something else, such as the
// mount point that remains after a namespace is unmounted.
var ErrNone = errors.New("no network namespace")

// Open opens the network namespace at path. Its error wraps ErrNone if there is none. It never blocks, whatever kind of
// file the path names.
func Open(path string) (netns.NsHandle, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ENXIO), errors.Is(err,
		unix.ESRCH):
		return netns.None(), fmt.Errorf("open %q: %w: %w", path, ErrNone, err)
	case err != nil:
		return netns.None(), fmt.Errorf("open network namespace %q: %w", path, err)
	}
	if kind, err := unix.IoctlRetInt(fd, unix.NS_GET_NSTYPE); err != nil || kind != unix.CLONE_NEWNET {
		_ = unix.Close(fd)
		return netns.None(), fmt.Errorf("open %q: %w: the file is not a network namespace", path, ErrNone)
	}
	return netns.NsHandle(fd), nil
}
