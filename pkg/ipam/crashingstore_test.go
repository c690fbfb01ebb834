// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"context"
	"net/netip"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/ipam/memstore"
)

// crashing is a store that fails at the n-th call, before or after the call takes effect, and at all later calls, as if
// the caller had crashed.
type crashing struct {
	*memstore.Store
	left  int
	after bool
	// survives lets the calls after the n-th succeed: only that call fails.
	survives bool
	// late is the number of calls after which the failed n-th call takes effect, because the server has already
	// received it. 0 means never.
	late    int
	delayed func() error
	trace   []string
	// onCall is called before each call.
	onCall func(what string)
}

// call makes one call to the store.
func (c *crashing) call(what string, f func() error) error {
	if c.onCall != nil {
		c.onCall(what)
	}
	c.trace = append(c.trace, what)
	c.left--
	if c.late > 0 && c.left == -c.late {
		c.completeLate()
	}
	switch {
	case c.left < 0 && !c.survives:
		return errCrashed
	case c.left == 0 && c.late > 0:
		c.delayed = f
		return errCrashed
	case c.left == 0:
		if c.after {
			_ = f()
		}
		return errCrashed
	}
	return f()
}

// completeLate lets the delayed call take effect.
func (c *crashing) completeLate() {
	if f := c.delayed; f != nil {
		c.delayed = nil
		_ = f()
	}
}

func (c *crashing) Blocks() ipam.Table[netip.Prefix, block.Block] {
	return crashingTable[netip.Prefix, block.Block]{c, c.Store.Blocks(), "block"}
}

func (c *crashing) Affinities() ipam.Table[ipam.AffinityKey, ipam.Affinity] {
	return crashingTable[ipam.AffinityKey, ipam.Affinity]{c, c.Store.Affinities(), "affinity"}
}

func (c *crashing) Handles() ipam.Table[string, ipam.Handle] {
	return crashingTable[string, ipam.Handle]{c, c.Store.Handles(), "handle"}
}

func (c *crashing) AffinitiesOf(ctx context.Context, node string, cached bool) (rows []ipam.AffinityRow, err error) {
	err = c.call("list affinities", func() (err error) { rows, err = c.Store.AffinitiesOf(ctx, node, cached); return err })
	return rows, err
}

func (c *crashing) BlocksOverlapping(ctx context.Context, cidr netip.Prefix) (cidrs []netip.Prefix, err error) {
	err = c.call("read overlapping blocks", func() (err error) {
		cidrs, err = c.Store.BlocksOverlapping(ctx, cidr)
		return err
	})
	return cidrs, err
}

type crashingTable[K comparable, T any] struct {
	c    *crashing
	in   ipam.Table[K, T]
	kind string
}

func (t crashingTable[K, T]) Get(ctx context.Context, k K) (row ipam.Row[T], err error) {
	err = t.c.call("get "+t.kind, func() (err error) { row, err = t.in.Get(ctx, k); return err })
	return row, err
}

func (t crashingTable[K, T]) Create(ctx context.Context, k K, v T) (row ipam.Row[T], err error) {
	err = t.c.call("create "+t.kind, func() (err error) { row, err = t.in.Create(ctx, k, v); return err })
	return row, err
}

func (t crashingTable[K, T]) Update(ctx context.Context, k K, r ipam.Row[T]) (row ipam.Row[T], err error) {
	err = t.c.call("update "+t.kind, func() (err error) { row, err = t.in.Update(ctx, k, r); return err })
	return row, err
}

func (t crashingTable[K, T]) Delete(ctx context.Context, k K, r ipam.Row[T]) error {
	return t.c.call("delete "+t.kind, func() error { return t.in.Delete(ctx, k, r) })
}
