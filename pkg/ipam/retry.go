package ipam

import (
	"context"
	"errors"
	"fmt"
	"time"

	"calico-cni/internal/deadline"
)

const (
	// maxAttempts bounds every compare-and-swap loop. Each conflict means that another writer made progress, so that
	// this many in a row have another cause than contention.
	maxAttempts = 100
	// backoffBase and backoffMax bound the wait before an attempt: it grows from the first to the second.
	backoffBase = 10 * time.Millisecond
	backoffMax  = time.Second
)

// Backoff returns a wait for Allocator.Wait: none before the first retry, then a random time of up to 10 ms, 20 ms,
// 40 ms and so on, up to a second (full jitter). sleep waits or returns the context's error; random returns a number
// from 0 to n-1.
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

// retry runs attempt until it succeeds or fails for another reason than a conflict with another writer.
func (a *Allocator) retry(ctx context.Context, what string, attempt func() error) error {
	var err error
	for n := range maxAttempts {
		if n > 0 {
			if waitErr := a.wait(ctx, n); waitErr != nil {
				return fmt.Errorf("%s: %w", what, waitErr)
			}
		}
		if err = attempt(); !errors.Is(err, ErrConflict) && !errors.Is(err, ErrExists) {
			return err
		}
	}
	return fmt.Errorf("%s: %w: gave up after %d attempts; try again", what, ErrContended, maxAttempts)
}

// wait waits before a retry, counted from 1. It returns an error when ctx ends first.
func (a *Allocator) wait(ctx context.Context, retries int) error {
	err := deadline.Cause(ctx)
	if err == nil && a.Wait != nil {
		err = a.Wait(ctx, retries)
	}
	if err != nil {
		return fmt.Errorf("%w while other commands changed the same object; try again", err)
	}
	return nil
}

// Sleep waits, or returns the error of a context that ends first.
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
