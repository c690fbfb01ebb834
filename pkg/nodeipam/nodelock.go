// SPDX-License-Identifier: Apache-2.0

package nodeipam

import (
	"context"
	"time"

	"calico-cni/internal/deadline"
	"calico-cni/internal/hostlock"
)

// ReleaseSuffix is appended to the name of the lock file of assignments to get that of releases.
const ReleaseSuffix = ".release"

const (
	// assignLockTimeout and releaseLockTimeout bound the wait for the lock of the node.
	assignLockTimeout  = 30 * time.Second
	releaseLockTimeout = 5 * time.Second
	// assignDeadline bounds an assignment without the wait for the lock. The kubelet gives a sandbox four minutes.
	assignDeadline = 90 * time.Second
)

// lock acquires a lock of the node and reports whether it had to wait. If it cannot get the lock in time, the command
// continues without it: the lock only avoids conflicts between commands of the node, and compare-and-swap keeps them
// safe.
func (a Allocations) lock(ctx context.Context, file string, timeout time.Duration) (unlock func(), waited bool) {
	unlock, err := hostlock.Try(file)
	if err == nil {
		return unlock, false
	}
	ctx, cancel := deadline.Within(ctx, timeout, "the wait for the lock of the node")
	defer cancel()
	if unlock, err = hostlock.Acquire(ctx, file); err != nil {
		a.Log.Warn("continuing without the lock of the node", "error", err)
		return func() {}, true
	}
	return unlock, true
}
