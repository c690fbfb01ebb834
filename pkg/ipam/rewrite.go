// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"context"
	"errors"
	"net/netip"

	"calico-cni/pkg/ipam/block"
)

// rewrite allocates an address after a write of its block failed. After a conflict it reads the block again. If the
// block has no room left, it looks for another place.
func (t *attempt) rewrite(ctx context.Context, p place, failed error) (got Assigned, err error) {
	err = t.backend.retry(ctx, "assign address from block "+p.cidr.String(), func() (err error) {
		held := false
		switch {
		case errors.Is(failed, errFull):
			p, err = t.move(ctx, p)
		case errors.Is(asConflict(failed), ErrConflict):
			p, got, held, err = t.reread(ctx, p)
		default:
			return failed
		}
		if err != nil || held {
			return err
		}
		if got, failed = t.write(ctx, p); failed != nil {
			// Retry; the next attempt handles the cause.
			return ErrConflict
		}
		return nil
	})
	return got, err
}

// reread reads the block of a place again after a conflict. held says that the block already has an address of this
// request: an earlier write can take effect although its answer was a conflict, for example when the transport
// repeats a request whose answer was lost. If the block is gone or has another owner, reread returns another place.
func (t *attempt) reread(ctx context.Context, p place) (to place, got Assigned, held bool, err error) {
	row, err := get(ctx, t.backend.store.Blocks(), p.cidr)
	if err == nil {
		if addr, ok := t.heldAlready(row.Value, p.want); ok {
			return p, t.assigned(p, row, addr), true, nil
		}
	}
	before := p.row
	p.row = row
	switch {
	case errors.Is(err, ErrNotFound):
		to, err = t.move(ctx, p)
		return to, got, false, err
	case err != nil:
		return place{}, got, false, err
	case row.UID != before.UID, row.Value.Affinity != before.Value.Affinity:
		// A block that was created again has not passed the check for overlapping blocks.
		to, err = t.move(ctx, p)
		return to, got, false, err
	}
	// The other writer may have been a release of this handle.
	return p, got, false, t.recount(ctx, p, p.cidr)
}

// heldAlready returns the address that a block holds for this request and want, if any.
func (t *attempt) heldAlready(b block.Block, w Want) (netip.Addr, bool) {
	for _, h := range b.HeldBy(t.request.owns) {
		if !w.Addr.IsValid() || w.Addr == h.Addr {
			return h.Addr, true
		}
	}
	return netip.Addr{}, false
}

// move finds another place for a want, and moves the count of the handle there.
func (t *attempt) move(ctx context.Context, from place) (place, error) {
	to, err := t.finder.find(ctx, from.want)
	if err != nil {
		return to, err
	}
	return to, t.recount(ctx, from, to.cidr)
}

// recount counts the address of a place in a block instead, before the request writes that block. Another run of the
// same ADD can have adopted the address that this request wrote in the place, if the answer to the write was a
// conflict. The handle then still counts that address, and one more in the block.
func (t *attempt) recount(ctx context.Context, from place, to netip.Prefix) error {
	switch adopted := len(from.row.Value.Held(t.request.Handle)) > 0; {
	case adopted:
		return t.tally.countMore(ctx, from.cidr, to)
	case to == from.cidr:
		// A block that was deleted and created again has no address: a release of this handle had no block to write to.
		return t.tally.touch(ctx, to)
	default:
		return t.tally.move(ctx, from.cidr, to)
	}
}
