// Package bootclock reads the time since the host was booted. Unlike the wall clock it is never set: it only goes
// forward, also while the host is suspended.
package bootclock

import (
	"time"

	"golang.org/x/sys/unix"
)

// Now returns the time since boot (clock_gettime(2), CLOCK_BOOTTIME). All processes of a host agree on it. A value that is
// written to a file is only comparable until the next boot.
func Now() time.Duration {
	var ts unix.Timespec
	// The call fails only for a clock that the kernel does not have, and this one came with Linux 2.6.39.
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
	return time.Duration(ts.Nano())
}
