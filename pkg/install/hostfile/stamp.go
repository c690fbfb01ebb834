// SPDX-License-Identifier: Apache-2.0

package hostfile

import (
	"syscall"
	"time"
)

// Stamp identifies a version of a file: the kernel updates the change time with every change, and no user can set it.
type Stamp struct {
	device, inode uint64
	size          int64
	mode          uint32
	changed       syscall.Timespec
}

// StampOf returns the stamp of a file. It is zero if the file cannot be inspected.
func StampOf(path string) Stamp {
	var s syscall.Stat_t
	if err := syscall.Lstat(path, &s); err != nil {
		return Stamp{}
	}
	return Stamp{s.Dev, s.Ino, s.Size, s.Mode, s.Ctim}
}

// clockGrain exceeds the resolution of the kernel's file times: a second change within it may leave the time as it is.
const clockGrain = time.Second

// Settled reports whether a later change of the file is certain to change its stamp. It is false for anything but a
// regular file, such as a link, whose stamp does not cover its target.
func (s Stamp) Settled(now time.Time) bool {
	return s.mode&syscall.S_IFMT == syscall.S_IFREG && now.Sub(time.Unix(s.changed.Unix())) > clockGrain
}
