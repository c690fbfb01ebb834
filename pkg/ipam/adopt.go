// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"context"
	"errors"
	"fmt"

	"calico-cni/pkg/ipam/block"
)

// adopt makes the request the owner of addresses that an earlier run of the same ADD has allocated, so that the undo of
// that run does not release them: it may still be running, and fail. The handle stays counted for both runs, because
// the earlier run may still find that it does not own the addresses, and allocate others.
//
// adopt returns false if the first address was released meanwhile. If another one was released, the attachment is being
// deleted, and adopt returns ErrReleased.
func (t *attempt) adopt(ctx context.Context, held []Held) (bool, error) {
	for i, h := range held {
		done, err := t.adoptOne(ctx, h)
		switch {
		case err != nil:
			return false, fmt.Errorf("take over address %s of an earlier ADD: %w", h.Addr, err)
		case !done && i == 0:
			t.adopting = false
			return false, nil
		case !done:
			return false, fmt.Errorf("take over address %s of an earlier ADD: %w", h.Addr, ErrReleased)
		}
	}
	return true, nil
}

// adoptOne writes the block of an address with this request as the owner. It reports false if the address is not held
// as it was read.
func (t *attempt) adoptOne(ctx context.Context, h Held) (done bool, err error) {
	owner := block.Attribute{Handle: t.request.Handle, Owner: t.request.Owner}
	err = t.backend.retry(ctx, "write block "+h.Block.String(), func() error {
		row, err := get(ctx, t.backend.store.Blocks(), h.Block)
		if err != nil {
			return ignore(err, ErrNotFound)
		}
		b := row.Value.Clone()
		t.borrowed[h.Addr] = b.Affinity != hostAffinity(t.request.Node)
		if who, ok := b.Holder(h.Addr); ok && t.request.owns(who) {
			// An earlier write took effect although its answer was a conflict.
			done = true
			return nil
		}
		if _, ok := b.Reassign(h.Holding, owner); !ok {
			return nil
		}
		b.Sequence++
		t.adopting = true
		written, err := t.backend.store.Blocks().Update(ctx, h.Block, Row[block.Block]{Value: b, Rev: row.Rev})
		if errors.Is(err, ErrNotFound) {
			return ErrConflict
		}
		if done = err == nil; done {
			t.backend.cache.Replace(h.Block, written)
		}
		return err
	})
	return done, err
}
