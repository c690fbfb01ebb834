// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"context"
	"sync/atomic"
)

// Cache skips runs of a driver that would change nothing. A run reads the whole state of the kernel, which is expensive
// on a node of a large cluster, and most changes of inputs concern other drivers.
type Cache[S any] struct {
	apply func(ctx context.Context, desired S) Report
	equal func(a, b S) bool

	// refresh says that the kernel may have changed since the last run.
	refresh atomic.Bool
	last    S
	report  Report
	valid   bool
}

// NewCache returns a cache for a driver. equal compares two desired states.
func NewCache[S any](apply func(ctx context.Context, desired S) Report, equal func(a, b S) bool) *Cache[S] {
	return &Cache[S]{apply: apply, equal: equal}
}

// Refresh makes the next Apply run the driver. It is for changes of the kernel by others, and for the periodic
// comparison. Any goroutine may call it.
func (c *Cache[S]) Refresh() { c.refresh.Store(true) }

// Apply runs the driver, unless the desired state is that of the last run, which had no fault, and nobody has called
// Refresh since. A run that is skipped reports what the last one did, without its writes.
func (c *Cache[S]) Apply(ctx context.Context, desired S) Report {
	// A change during the run is seen by the next one.
	refresh := c.refresh.Swap(false)
	if c.valid && !refresh && c.equal(c.last, desired) {
		report := c.report
		report.Writes = 0
		return report
	}
	c.report = c.apply(ctx, desired)
	c.last, c.valid = desired, c.report.Err == nil && len(c.report.Faults) == 0
	return c.report
}
