// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"math/rand/v2"
	"time"
)

// The limits of the pause after a failed run. It doubles with each failure.
const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = 30 * time.Second
)

// Driver brings one part of the kernel to the desired state.
type Driver[S any] struct {
	// Name names the part in logs, metrics and the status, such as "routes".
	Name string
	// Apply reads the kernel, compares it with the desired state, and writes the difference. It continues after an object
	// that it cannot write.
	Apply func(ctx context.Context, desired S) Result
}

// Result is the result of one run of a driver.
type Result struct {
	// Writes is the number of changes that were made.
	Writes int
	// Waiting names what is held back until something else happens, such as routes whose link is down. It is no fault.
	Waiting []string
	// Faults are the objects that could not be written. The driver runs again after a pause.
	Faults []error
	// Err says that the driver could not work at all. The driver runs again after a pause.
	Err error
}

// failed reports whether the driver has to run again.
func (r Result) failed() bool { return r.Err != nil || len(r.Faults) > 0 }

// runner runs one driver and determines its next run.
type runner[S any] struct {
	driver Driver[S]
	last   Result
	// writes are those of all runs.
	writes  int
	applied bool
	pause   time.Duration
	retryAt time.Time
}

// run runs the driver and records the result.
func (r *runner[S]) run(ctx context.Context, desired S, now func() time.Time) {
	r.last = r.driver.Apply(ctx, desired)
	r.writes += r.last.Writes
	r.applied = r.applied || r.last.Err == nil
	if !r.last.failed() {
		r.pause, r.retryAt = 0, time.Time{}
		return
	}
	r.pause = min(max(2*r.pause, minBackoff), maxBackoff)
	// Half of the pause is random, so that nodes with the same fault do not retry in step.
	r.retryAt = now().Add(r.pause/2 + rand.N(r.pause/2+1))
}

// due reports whether the pause after a failed run is over.
func (r *runner[S]) due(now time.Time) bool { return !r.retryAt.IsZero() && !now.Before(r.retryAt) }
