// SPDX-License-Identifier: Apache-2.0

// Package bootclock reads the time since the host was booted. Unlike the wall clock it is never set. It only increases,
// also while the host is suspended.
package bootclock

import (
	"time"

	"golang.org/x/sys/unix"
)

// Now returns the time since boot (clock_gettime(2), CLOCK_BOOTTIME). It is the same for all processes of a host.
// Values in files are comparable only until the next boot.
func Now() time.Duration {
	var ts unix.Timespec
	// The call fails only if the kernel lacks the clock, which exists since Linux 2.6.39.
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
	return time.Duration(ts.Nano())
}
