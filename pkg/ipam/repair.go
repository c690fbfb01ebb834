// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"context"
	"errors"

	"calico-cni/pkg/ipam/block"
)

// repair completes a claim, or cancels a release, that another process left incomplete, and returns the block. A
// release is cancelled only if the block still exists and belongs to the node. The write gives the block a new
// revision, so that the deletion of the block by the releasing process fails. Errors are those of claim.
func (c claims) repair(ctx context.Context, affinity AffinityRow) (claimed, error) {
	var repaired claimed
	err := c.backend.retry(ctx, "claim block "+affinity.Key.CIDR.String(), func() (err error) {
		if affinity.Row, err = c.reopen(ctx, affinity); err != nil {
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

// reopen reads an affinity if it was not read yet, and sets it back to pending if it is pendingDeletion.
//
// It does so before the block is read. Otherwise another process could set pendingDeletion again and delete the block
// unnoticed: to set pendingDeletion on a row that has it already is no write, and a later confirmation would not
// conflict. After a conflict the returned row is empty, so that the next attempt reads it again.
func (c claims) reopen(ctx context.Context, affinity AffinityRow) (Row[Affinity], error) {
	t := c.backend.store.Affinities()
	if affinity.Rev == nil {
		row, err := get(ctx, t, affinity.Key)
		if errors.Is(err, ErrNotFound) {
			return row, errNotOwned
		} else if err != nil {
			return row, err
		}
		affinity.Row = row
	}
	if affinity.Deleted {
		return affinity.Row, errors.Join(errNotOwned, finish(ctx, t, affinity.Key, affinity.Row))
	}
	if affinity.Value.State == PendingDeletion {
		affinity.Value.State = Pending
		row, err := t.Update(ctx, affinity.Key, affinity.Row)
		return row, asConflict(err)
	}
	return affinity.Row, nil
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
			if affinity.Row, err = c.setPending(ctx, key); err != nil {
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
