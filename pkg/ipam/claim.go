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
	// Owner is the affinity of the block, such as "host:node-1". It is empty if the block has no owner, or was deleted
	// meanwhile.
	Owner string
}

// Error names the owner and the remedy.
func (e *TakenError) Error() string {
	return fmt.Sprintf("block %s belongs to %s; if that node does not exist, release its blocks",
		e.Block, ownerName(e.Owner))
}

// Unwrap returns errNotOwned.
func (e *TakenError) Unwrap() error { return errNotOwned }

// claims creates, repairs and releases affinities of nodes together with their blocks.
//
// A claim writes three rows: the affinity as pending, the block, and the affinity as confirmed, after the check for
// overlapping blocks. A release writes them in reverse: the affinity as pendingDeletion, the deletion of the block, the
// deletion of the affinity. After a crash the state of the affinity tells how far the operation came.
type claims struct {
	backend  backend
	overlaps overlaps
}

func newClaims(b backend) claims { return claims{backend: b, overlaps: overlaps{b}} }

// claimed is a block that the node owns. checked says that no other block overlapped it after it was created.
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
		// Another process was faster.
		row, err := get(ctx, c.backend.store.Blocks(), cidr)
		return &TakenError{cidr, row.Value.Affinity}, ignore(err, ErrNotFound)
	}
	return nil, err
}

// claim claims a block that did not exist when it was last read. It returns errNotOwned if another process was
// faster, and an OverlapError, which is an errNotOwned, if the block overlaps another. After a crash at any point no
// affinity is confirmed whose block is missing or unchecked.
func (c claims) claim(ctx context.Context, node string, cidr netip.Prefix) (claimed, error) {
	key := AffinityKey{node, cidr}
	affinity, err := c.setPending(ctx, key)
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

// setPending creates an affinity as pending, or sets an existing one to pending.
func (c claims) setPending(ctx context.Context, key AffinityKey) (Row[Affinity], error) {
	t := c.backend.store.Affinities()
	var row Row[Affinity]
	err := c.backend.retry(ctx, "claim block "+key.CIDR.String(), func() (err error) {
		row, err = create(ctx, t, key, Affinity{State: Pending})
		if !errors.Is(err, ErrExists) {
			return err
		}
		if row, err = get(ctx, t, key); err != nil {
			return asConflict(err)
		}
		row.Value.State = Pending
		row, err = t.Update(ctx, key, row)
		return asConflict(err)
	})
	return row, err
}

// complete checks a block that exists for others that overlap it, and confirms the affinity. If the block overlaps
// another, complete returns an OverlapError, and the claim is reverted if the block is empty.
func (c claims) complete(ctx context.Context, affinity AffinityRow, row Row[block.Block]) (Row[Affinity], error) {
	overlap := c.overlaps.check(ctx, affinity.Key.CIDR)
	switch {
	case overlap == nil:
		return c.confirm(ctx, affinity)
	case !errors.Is(overlap, errNotOwned):
		return affinity.Row, overlap
	case c.backend.empty(row.Value):
		return affinity.Row, errors.Join(overlap, c.revert(ctx, affinity.Key, row))
	}
	// The addresses of the block are in use. The node keeps the block, so that the routes to them stay, but allocates
	// no more from it.
	confirmed, err := c.confirm(ctx, affinity)
	if err != nil {
		return confirmed, err
	}
	return confirmed, overlap
}

// confirm sets an affinity to confirmed. If another process has changed the affinity, confirm returns the new row and
// ErrConflict.
func (c claims) confirm(ctx context.Context, affinity AffinityRow) (Row[Affinity], error) {
	if affinity.Value.State == Confirmed {
		return affinity.Row, nil
	}
	affinity.Value.State = Confirmed
	row, err := c.backend.store.Affinities().Update(ctx, affinity.Key, affinity.Row)
	if err == nil || !errors.Is(asConflict(err), ErrConflict) {
		return row, err
	}
	row, err = get(ctx, c.backend.store.Affinities(), affinity.Key)
	if errors.Is(err, ErrNotFound) {
		row, err = c.setPending(ctx, affinity.Key)
	}
	if err != nil {
		return row, err
	}
	return row, ErrConflict
}
