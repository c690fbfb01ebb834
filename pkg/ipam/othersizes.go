// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"calico-cni/pkg/ipam/pool"
)

// otherSizes are the blocks of a pool whose size is not the pool's block size.
type otherSizes struct {
	blocks []netip.Prefix
	// listed says that blocks was read from the store.
	listed bool
}

// list reads the blocks from the store. In a large pool this lists the names of all blocks. It happens at most once in
// a walk, and only if blocks of several sizes share a pool.
func (o *otherSizes) list(ctx context.Context, store Store, of pool.Pool) error {
	cidrs, err := store.BlocksOverlapping(ctx, of.CIDR)
	if err != nil {
		return fmt.Errorf("look for blocks that overlap pool %s: %w", of.Name, err)
	}
	o.listed = true
	o.blocks = slices.DeleteFunc(cidrs, func(cidr netip.Prefix) bool { return cidr.Bits() == of.BlockSize })
	return nil
}

// overlapped returns blocks of the pool that the blocks of other sizes overlap: one for each of these, maxKept at most.
// It leaves out unusable blocks and those of pools inside of this one.
func (o otherSizes) overlapped(
	of pool.Pool, pools []pool.Pool, usable func(netip.Prefix) bool,
) (cidrs []netip.Prefix) {
	inner := of.Inner(pools)
	for _, other := range o.blocks {
		cidr := of.Block(other.Addr())
		if !of.CIDR.Contains(other.Addr()) {
			cidr = of.Block(of.CIDR.Addr())
		}
		if !usable(cidr) || slices.Contains(cidrs, cidr) || slices.ContainsFunc(inner, cidr.Overlaps) {
			continue
		}
		if cidrs = append(cidrs, cidr); len(cidrs) == maxKept {
			break
		}
	}
	return cidrs
}
