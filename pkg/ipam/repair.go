// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"context"
	"errors"

	"calico-cni/pkg/ipam/block"
)

// repair completes a claim, or cancels a release, that another process left incomplete, and returns the block. It
// cancels a release only if the block still exists and belongs to the node. The write gives the block a new revision,
// so that the releasing process fails to delete the block. Errors are those of claim.
func (c claims) repair(ctx context.Context, affinity AffinityRow) (claimed, error) {
	var repaired claimed
	err := c.backend.retry(ctx, "claim block "+affinity.Key.CIDR.String(), func() (err error) {
		if affinity.Row, err = c.affinities.reopen(ctx, affinity); err != nil {
			return err
		}
		repaired.row, affinity.Row, err = c.blockOf(ctx, affinity)
		repaired.checked = affinity.Value.State != Confirmed
		if err != nil || !repaired.checked {
			return err
		}
		affinity.Row, err = c.complete(ctx, affinity, repaired.row)
		return err
	})
	return repaired, err
}

// blockOf returns the block of an affinity, created if it does not exist, and the affinity as it is now. If the
// affinity is not confirmed, the block gets a new revision, so that writes based on the old one fail.
func (c claims) blockOf(ctx context.Context, affinity AffinityRow) (Row[block.Block], Row[Affinity], error) {
	key, blocks := affinity.Key, c.backend.store.Blocks()
	row, err := get(ctx, blocks, key.CIDR)
	switch {
	case errors.Is(err, ErrNotFound):
		// An affinity whose block does not exist must not be confirmed.
		if affinity.Value.State != Pending {
			if affinity.Row, err = c.affinities.setPending(ctx, key); err != nil {
				return row, affinity.Row, err
			}
		}
		row, err = create(ctx, blocks, key.CIDR, block.New(key.CIDR, hostAffinity(key.Node), c.backend.now()))
	case err != nil:
	case row.Value.Affinity != hostAffinity(key.Node):
		if err = ignore(remove(ctx, c.backend.store.Affinities(), key, affinity.Row), ErrConflict); err == nil {
			err = errNotOwned
		}
	case affinity.Value.State != Confirmed:
		row.Value.Sequence++
		row, err = blocks.Update(ctx, key.CIDR, row)
	}
	return row, affinity.Row, asConflict(err)
}
