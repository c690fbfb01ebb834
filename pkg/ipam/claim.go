// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"calico-cni/pkg/ipam/block"
)

// errNotOwned: a block belongs to another owner.
var errNotOwned = errors.New("block belongs to another owner")

// TakenError says that a block belongs to another owner.
type TakenError struct {
	Block netip.Prefix
	// Owner is the affinity of the block, such as "host:node-1". It is empty if the block has no owner, or has been
	// deleted since.
	Owner string
}

// Error names the owner and the remedy.
func (e *TakenError) Error() string {
	return fmt.Sprintf("block %s belongs to %s; if that node does not exist, release its blocks",
		e.Block, ownerName(e.Owner))
}

// Unwrap returns errNotOwned.
func (e *TakenError) Unwrap() error { return errNotOwned }

// claims claims blocks for nodes, and repairs claims that were interrupted.
//
// A claim writes three rows: the affinity as pending, the block, and, after the check for overlapping blocks, the
// affinity as confirmed. A release (blockReleases) writes them in reverse: the affinity as pendingDeletion, the
// deletion of the block, the deletion of the affinity. After a crash, the state of the affinity shows how far the
// operation got.
type claims struct {
	backend    backend
	affinities affinities
	overlaps   overlaps
}

func newClaims(b backend) claims {
	return claims{backend: b, affinities: affinities{b}, overlaps: overlaps{b}}
}

// claimed is a block that the node owns. checked says that it has passed the check for overlapping blocks.
type claimed struct {
	row     Row[block.Block]
	checked bool
}

// ensure claims a block for a node. If the node owns it afterwards, obstacle is nil.
func (c claims) ensure(ctx context.Context, node string, cidr netip.Prefix) (obstacle, err error) {
	row, err := get(ctx, c.backend.store.Blocks(), cidr)
	switch {
	case err == nil && row.Value.Affinity != hostAffinity(node):
		return &TakenError{cidr, row.Value.Affinity}, nil
	case ignore(err, ErrNotFound) != nil:
		return nil, err
	}
	// A block that the node owns already is claimed again, because its claim may be incomplete.
	_, err = c.claim(ctx, node, cidr)
	var overlap *OverlapError
	switch {
	case errors.As(err, &overlap):
		return overlap, nil
	case errors.Is(err, errNotOwned):
		// Another process has claimed the block first.
		row, err := get(ctx, c.backend.store.Blocks(), cidr)
		return &TakenError{cidr, row.Value.Affinity}, ignore(err, ErrNotFound)
	}
	return nil, err
}

// claim claims a block that did not exist when it was last read. It returns errNotOwned if another process has claimed
// the block first, and an OverlapError, which wraps errNotOwned, if the block overlaps another. A crash at any point
// leaves no confirmed affinity whose block is missing or unchecked.
func (c claims) claim(ctx context.Context, node string, cidr netip.Prefix) (claimed, error) {
	key := AffinityKey{node, cidr}
	affinity, err := c.affinities.setPending(ctx, key)
	if err != nil {
		return claimed{}, err
	}
	row, err := create(ctx, c.backend.store.Blocks(), cidr, block.New(cidr, hostAffinity(node), c.backend.now()))
	if err == nil {
		affinity, err = c.complete(ctx, AffinityRow{key, affinity}, row)
	}
	if !errors.Is(asConflict(err), ErrConflict) && !errors.Is(err, ErrExists) {
		return claimed{row, true}, err
	}
	return c.repair(ctx, AffinityRow{key, affinity})
}

// resume completes the claim of a block that belongs to the node, whose affinity is not confirmed or, without a
// revision, does not exist. It returns ErrConflict if the node has lost the block meanwhile.
func (c claims) resume(ctx context.Context, affinity AffinityRow) (mine claimed, err error) {
	if affinity.Rev == nil {
		mine, err = c.claim(ctx, affinity.Key.Node, affinity.Key.CIDR)
	} else {
		mine, err = c.repair(ctx, affinity)
	}
	var overlap *OverlapError
	if errors.Is(err, errNotOwned) && !errors.As(err, &overlap) {
		err = errors.Join(ErrConflict, err)
	}
	return mine, err
}

// complete checks a block that exists for others that overlap it, and confirms the affinity. If the block overlaps
// another, complete returns an OverlapError, and the claim is reverted if the block is empty.
func (c claims) complete(ctx context.Context, affinity AffinityRow, row Row[block.Block]) (Row[Affinity], error) {
	overlap := c.overlaps.check(ctx, affinity.Key.CIDR)
	switch {
	case overlap == nil:
		return c.affinities.confirm(ctx, affinity)
	case !errors.Is(overlap, errNotOwned):
		return affinity.Row, overlap
	case c.backend.empty(row.Value):
		return affinity.Row, errors.Join(overlap, c.revert(ctx, affinity.Key, row))
	}
	// The addresses of the block are in use. The node keeps the block, so that the routes to them stay, but allocates
	// no more from it.
	confirmed, err := c.affinities.confirm(ctx, affinity)
	if err != nil {
		return confirmed, err
	}
	return confirmed, overlap
}

// revert deletes the empty block and the affinity of a claim that overlaps another block. If another process writes to
// one of them at the same time, the affinity stays marked, and the next use repairs it.
func (c claims) revert(ctx context.Context, key AffinityKey, row Row[block.Block]) error {
	affinity, err := c.affinities.mark(ctx, key)
	if ignore(err, ErrNotFound) != nil {
		return ignore(err, errNotOwned)
	}
	marked := err == nil
	if err := remove(ctx, c.backend.store.Blocks(), key.CIDR, row); err != nil {
		return ignore(err, ErrConflict)
	}
	c.backend.cache.Delete(key.CIDR)
	if !marked {
		return nil
	}
	return ignore(remove(ctx, c.backend.store.Affinities(), key, affinity), ErrConflict)
}
