// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"context"
	"time"

	"calico-cni/internal/deadline"
)

// The bound of the wait before an attempt grows from backoffBase to backoffMax.
const (
	backoffBase = 10 * time.Millisecond
	backoffMax  = time.Second
)

// Backoff returns a function for Allocator.Wait. It does not wait before the first retry. Before the following ones it
// waits a random time of up to 10 ms, 20 ms, 40 ms and so on, at most a second (exponential backoff with full jitter).
// sleep waits, or returns an error if the context ends first. random returns a number from 0 to n-1.
func Backoff(
	sleep func(ctx context.Context, d time.Duration) error, random func(n int64) int64,
) func(ctx context.Context, retries int) error {
	return func(ctx context.Context, retries int) error {
		if retries <= 1 {
			return deadline.Cause(ctx)
		}
		longest := backoffMax
		if doublings := retries - 2; doublings < 7 {
			longest = min(longest, backoffBase<<doublings)
		}
		return sleep(ctx, time.Duration(random(int64(longest)+1)))
	}
}

// Sleep waits for d. If the context ends first, it returns the cause.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return deadline.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
