// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"calico-cni/internal/deadline"
	"calico-cni/pkg/ipam/block"
)

// maxAttempts bounds every compare-and-swap loop. Each conflict means that another writer made progress, so that this
// many conflicts in a row indicate another cause than contention.
const maxAttempts = 100

// backend has the store, the cache and the clock. All parts of an Allocator share it.
type backend struct {
	store Store
	cache BlockCache
	now   func() time.Time
	// cooldown is the time before a released address is allocated again.
	cooldown time.Duration
	parallel int
	wait     func(ctx context.Context, retries int) error
}

// empty reports whether no address of a block is allocated, or in its cooldown at this moment.
func (b backend) empty(x block.Block) bool { return x.Empty(b.now(), b.cooldown) }

// group returns a group of goroutines that runs as many calls at the same time as the allocator allows.
func (b backend) group(ctx context.Context) (*errgroup.Group, context.Context) {
	g, ctx := errgroup.WithContext(ctx)
	if b.parallel > 0 {
		g.SetLimit(b.parallel)
	}
	return g, ctx
}

// retry runs attempt until it succeeds or fails with an error other than a conflict with another writer.
func (b backend) retry(ctx context.Context, what string, attempt func() error) error {
	for n := range maxAttempts {
		if n > 0 {
			if err := b.pause(ctx, n); err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
		}
		if err := attempt(); !errors.Is(err, ErrConflict) && !errors.Is(err, ErrExists) {
			return err
		}
	}
	return fmt.Errorf("%s: %w: gave up after %d attempts; try again", what, ErrContended, maxAttempts)
}

// pause waits before a retry. The first retry has number 1. If the context ends first, pause returns an error.
func (b backend) pause(ctx context.Context, retries int) error {
	err := deadline.Cause(ctx)
	if err == nil && b.wait != nil {
		err = b.wait(ctx, retries)
	}
	if err != nil {
		return fmt.Errorf("%w while other commands changed the same object; try again", err)
	}
	return nil
}
