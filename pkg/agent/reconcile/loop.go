// SPDX-License-Identifier: Apache-2.0

// Package reconcile keeps the kernel in the desired state. One loop computes the newest desired state and lets each
// driver apply it. It is the only part of the agent that knows time.
package reconcile

import (
	"context"
	"slices"
	"time"
)

// settle is the time for which the loop collects changes of the kernel before it looks at them. The loop's own writes
// are such changes as well.
const settle = 100 * time.Millisecond

// Loop keeps the kernel in the desired state.
type Loop[S any] struct {
	// Desired returns the newest desired state. It returns false while inputs are incomplete; nothing is written then.
	Desired func() (state S, ok bool)
	// Drivers run in this order.
	Drivers []Driver[S]
	// Resync returns the interval at which all drivers compare the whole state although nothing has changed. 0 means
	// never.
	Resync func() time.Duration
	// Resyncing is called before the round of a resync. It may be nil.
	Resyncing func()
	// Publish is called after each round.
	Publish func(Status)
	Now     func() time.Time

	inputs, kernel chan struct{}
}

// New returns a loop without inputs. The caller sets the fields before Run.
func New[S any]() *Loop[S] {
	return &Loop[S]{inputs: make(chan struct{}, 1), kernel: make(chan struct{}, 1)}
}

// InputChanged makes the loop compute the desired state again. It does not block.
func (l *Loop[S]) InputChanged() { signal(l.inputs) }

// KernelChanged makes the loop compare the kernel with the desired state again, shortly after. It does not block.
func (l *Loop[S]) KernelChanged() { signal(l.kernel) }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Run runs the loop until the context ends.
func (l *Loop[S]) Run(ctx context.Context) {
	runners := make([]*runner[S], len(l.Drivers))
	for i, d := range l.Drivers {
		runners[i] = &runner[S]{driver: d}
	}
	all := true
	for {
		desired, ok := l.Desired()
		if ok {
			for _, r := range runners {
				if all || r.due(l.Now()) {
					r.run(ctx, desired, l.Now)
				}
			}
		}
		if ctx.Err() != nil {
			return
		}
		l.Publish(status(runners, ok))
		if all, ok = l.wait(ctx, runners); !ok {
			return
		}
	}
}

// wait waits for the next round. all says that all drivers run, and not only those whose pause is over. ok is false if
// the context has ended.
func (l *Loop[S]) wait(ctx context.Context, runners []*runner[S]) (all, ok bool) {
	resync, stopResync := after(l.Resync())
	defer stopResync()
	retry, stopRetry := after(untilRetry(runners, l.Now()))
	defer stopRetry()
	select {
	case <-ctx.Done():
		return false, false
	case <-l.inputs:
		return true, true
	case <-resync:
		if l.Resyncing != nil {
			l.Resyncing()
		}
		return true, true
	case <-retry:
		return false, true
	case <-l.kernel:
		return true, l.settle(ctx)
	}
}

// settle waits until changes of the kernel are collected, or an input changes.
func (l *Loop[S]) settle(ctx context.Context) bool {
	over, stop := after(settle)
	defer stop()
	select {
	case <-ctx.Done():
		return false
	case <-l.inputs:
	case <-over:
	}
	select {
	case <-l.kernel:
	default:
	}
	return true
}

// untilRetry returns the time from now until the first pause is over, 0 if there is none.
func untilRetry[S any](runners []*runner[S], now time.Time) time.Duration {
	var times []time.Time
	for _, r := range runners {
		if !r.retryAt.IsZero() {
			times = append(times, r.retryAt)
		}
	}
	if len(times) == 0 {
		return 0
	}
	return max(slices.MinFunc(times, time.Time.Compare).Sub(now), 1)
}

// after returns a channel that receives after a duration, and never if the duration is 0.
func after(d time.Duration) (<-chan time.Time, func()) {
	if d == 0 {
		return nil, func() {}
	}
	t := time.NewTimer(d)
	return t.C, func() { t.Stop() }
}
