// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"context"
	"net/netip"

	"calico-cni/pkg/ipam/pool"
)

// releaseUnused releases the node's empty blocks that lie in no pool that selects the node. If the node is then still
// at its limit of blocks, it also releases the empty blocks that cannot serve the want. It returns the limit that
// remains, as plan.limit does.
func (f *finder) releaseUnused(ctx context.Context, w Want, pools []pool.Pool) (limit string, err error) {
	unselected := func(cidr netip.Prefix) bool { return !f.plan.pools.selects(cidr) }
	if err := f.releaseEmpty(ctx, unselected); err != nil {
		return "", err
	}
	if limit := f.plan.limit(w); limit == "" || !f.plan.config.AutoAllocateBlocks {
		return limit, nil
	}
	err = f.releaseEmpty(ctx, func(cidr netip.Prefix) bool { return unusable(cidr, w, pools) })
	return f.plan.limit(w), err
}

// releaseEmpty releases those of the node's blocks that are empty and unwanted.
func (f *finder) releaseEmpty(ctx context.Context, unwanted func(cidr netip.Prefix) bool) error {
	var kept []AffinityRow
	for _, row := range f.plan.own.rows {
		if unwanted(row.Key.CIDR) && !f.chosen[row.Key.CIDR] {
			released, err := f.releases.releaseIfEmpty(ctx, row.Key)
			if err != nil {
				return err
			}
			if released {
				continue
			}
		}
		kept = append(kept, row)
	}
	f.plan.own.rows = kept
	return nil
}
