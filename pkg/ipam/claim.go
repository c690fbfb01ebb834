package ipam

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"calico-cni/pkg/ipam/block"
)

// errNotOurs: a block belongs to somebody else.
var errNotOurs = errors.New("block belongs to another")

// TakenError says that a block belongs to another owner.
type TakenError struct {
	Block netip.Prefix
	// Owner is the affinity of the block, such as "host:node-1"; empty when the block has none, or was deleted meanwhile.
	Owner string
}

// Error names the owner and the remedy.
func (e *TakenError) Error() string {
	return fmt.Sprintf("block %s belongs to %s; if that node does not exist, release its blocks", e.Block, orNobody(e.Owner))
}

// Unwrap returns errNotOurs.
func (e *TakenError) Unwrap() error { return errNotOurs }

// Claim makes a block the node's. obstacle is nil when the block is the node's now, else why not: a *TakenError when it
// belongs to another owner, an *OverlapError when it shares addresses with another block.
func (a *Allocator) Claim(ctx context.Context, node string, cidr netip.Prefix) (obstacle, err error) {
	row, err := get(ctx, a.Store.Blocks(), cidr)
	switch {
	case err == nil && row.Value.Affinity != hostAffinity(node):
		return &TakenError{cidr, row.Value.Affinity}, nil
	case ignore(err, ErrNotFound) != nil:
		return nil, err
	}
	// What a crash left half claimed is claimed anew.
	_, err = a.claim(ctx, node, cidr)
	var overlap *OverlapError
	switch {
	case errors.As(err, &overlap):
		return overlap, nil
	case errors.Is(err, errNotOurs):
		// Another process was faster.
		row, err := get(ctx, a.Store.Blocks(), cidr)
		return &TakenError{cidr, row.Value.Affinity}, ignore(err, ErrNotFound)
	}
	return nil, err
}

// claimed is a block that is the node's. checked says that no other block overlapped it after it was created.
type claimed struct {
	row     Row[block.Block]
	checked bool
}

// claim makes a block the node's that did not exist a moment ago. It returns errNotOurs when another process was
// faster, and an OverlapError, which is an errNotOurs, when the block overlaps another. The affinity is pending
// before the block exists and confirmed only after the check for overlapping blocks, so that a crash leaves nothing
// that looks owned and is not.
func (a *Allocator) claim(ctx context.Context, node string, cidr netip.Prefix) (claimed, error) {
	key := AffinityKey{node, cidr}
	affinity, err := a.pend(ctx, key)
	if err != nil {
		return claimed{}, err
	}
	row, err := create(ctx, a.Store.Blocks(), cidr, block.New(cidr, hostAffinity(node), a.Now()))
	if err == nil {
		affinity, err = a.settle(ctx, AffinityRow{key, affinity}, row)
	}
	if !errors.Is(missing(err), ErrConflict) && !errors.Is(err, ErrExists) {
		return claimed{row, true}, err
	}
	return a.heal(ctx, AffinityRow{key, affinity})
}

// settle checks a block that exists for others that overlap it, and confirms the claim. A claim on a block that
// overlaps another is taken back if the block is empty; the error is an OverlapError either way.
func (a *Allocator) settle(ctx context.Context, affinity AffinityRow, row Row[block.Block]) (Row[Affinity], error) {
	overlap := a.overlapping(ctx, affinity.Key.CIDR)
	switch {
	case overlap == nil:
		return a.confirm(ctx, affinity)
	case !errors.Is(overlap, errNotOurs):
		return affinity.Row, overlap
	case row.Value.Empty():
		return affinity.Row, errors.Join(overlap, a.takeBack(ctx, affinity.Key, row))
	}
	// Its addresses are in use: the node keeps the block for their routes, and allocates no more from it.
	confirmed, err := a.confirm(ctx, affinity)
	if err != nil {
		return confirmed, err
	}
	return confirmed, overlap
}

// pend returns the affinity as pending, making it or setting it back.
func (a *Allocator) pend(ctx context.Context, key AffinityKey) (Row[Affinity], error) {
	t := a.Store.Affinities()
	var row Row[Affinity]
	err := a.retry(ctx, "claim block "+key.CIDR.String(), func() (err error) {
		row, err = create(ctx, t, key, Affinity{State: Pending})
		if !errors.Is(err, ErrExists) {
			return err
		}
		if row, err = get(ctx, t, key); err != nil {
			return missing(err)
		}
		row.Value.State = Pending
		row, err = t.Update(ctx, key, row)
		return missing(err)
	})
	return row, err
}

// heal brings an affinity and its block to where they agree, from wherever a claim or a release of it was cut off,
// and returns the block. A release that was begun is taken back, as long as the block is still there and the node's:
// the new revision of the block stops the process that is about to delete it. Errors are those of claim.
func (a *Allocator) heal(ctx context.Context, affinity AffinityRow) (claimed, error) {
	key := affinity.Key
	var healed claimed
	err := a.retry(ctx, "claim block "+key.CIDR.String(), func() (err error) {
		if affinity.Rev == nil {
			// Claimed by this very request, a moment ago.
			if affinity.Row, err = get(ctx, a.Store.Affinities(), key); errors.Is(err, ErrNotFound) {
				return errNotOurs
			} else if err != nil {
				return err
			}
		}
		if affinity.Deleted {
			return errors.Join(errNotOurs, finish(ctx, a.Store.Affinities(), key, affinity.Row))
		}
		if affinity.Value.State == PendingDeletion {
			if affinity.Row, err = a.reopen(ctx, affinity); err != nil {
				return missing(err)
			}
		}
		healed.row, affinity.Row, err = a.blockOf(ctx, affinity)
		healed.checked = affinity.Value.State != Confirmed
		if err != nil || !healed.checked {
			return err
		}
		affinity.Row, err = a.settle(ctx, affinity, healed.row)
		return err
	})
	return healed, err
}

// blockOf returns the block of a claim, created if it does not exist, and the claim as it is now. While the claim is
// not confirmed the block gets a new revision, which makes another process that decided on the old one look again.
func (a *Allocator) blockOf(ctx context.Context, affinity AffinityRow) (Row[block.Block], Row[Affinity], error) {
	key := affinity.Key
	row, err := get(ctx, a.Store.Blocks(), key.CIDR)
	switch {
	case errors.Is(err, ErrNotFound):
		if affinity.Row, err = a.unconfirm(ctx, affinity); err != nil {
			return row, affinity.Row, err
		}
		row, err = create(ctx, a.Store.Blocks(), key.CIDR, block.New(key.CIDR, hostAffinity(key.Node), a.Now()))
	case err != nil:
	case row.Value.Affinity != hostAffinity(key.Node):
		if err = ignore(remove(ctx, a.Store.Affinities(), key, affinity.Row), ErrConflict); err == nil {
			err = errNotOurs
		}
	case affinity.Value.State != Confirmed:
		row.Value.Sequence++
		row, err = a.Store.Blocks().Update(ctx, key.CIDR, row)
	}
	return row, affinity.Row, missing(err)
}

// reopen sets a claim that is marked for deletion back to pending, before its block is read. Another process may mark
// the claim again and delete the block: a mark on a marked claim is no write, so that the confirmation would not
// conflict with it. A mark on a pending claim is one. After a conflict the row is empty, and the claim has to be read
// again.
func (a *Allocator) reopen(ctx context.Context, affinity AffinityRow) (Row[Affinity], error) {
	affinity.Value.State = Pending
	return a.Store.Affinities().Update(ctx, affinity.Key, affinity.Row)
}

// unconfirm makes sure that a claim is pending while its block does not exist.
func (a *Allocator) unconfirm(ctx context.Context, affinity AffinityRow) (Row[Affinity], error) {
	if affinity.Value.State == Pending {
		return affinity.Row, nil
	}
	return a.pend(ctx, affinity.Key)
}

// confirm ends a claim. It returns the affinity as it is now and ErrConflict when somebody changed it meanwhile.
func (a *Allocator) confirm(ctx context.Context, affinity AffinityRow) (Row[Affinity], error) {
	if affinity.Value.State == Confirmed {
		return affinity.Row, nil
	}
	affinity.Value.State = Confirmed
	row, err := a.Store.Affinities().Update(ctx, affinity.Key, affinity.Row)
	if err == nil || !errors.Is(missing(err), ErrConflict) {
		return row, err
	}
	row, err = get(ctx, a.Store.Affinities(), affinity.Key)
	if errors.Is(err, ErrNotFound) {
		row, err = a.pend(ctx, affinity.Key)
	}
	if err != nil {
		return row, err
	}
	return row, ErrConflict
}

// missing turns "gone" into "changed": what was there a moment ago has to be looked at again.
func missing(err error) error {
	if errors.Is(err, ErrNotFound) {
		return errors.Join(ErrConflict, err)
	}
	return err
}
