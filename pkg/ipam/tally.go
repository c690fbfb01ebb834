// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"context"
	"errors"
	"maps"
	"net/netip"
)

// tally is the handle of one request, with the counts that the request has added.
type tally struct {
	handles handles
	id      string
	// row is the handle as it was last written. counted has the counts that this request has added.
	row     Row[Handle]
	counted map[netip.Prefix]int
}

// add counts one address per place. It adds to counted only after the write has succeeded. If a write takes effect
// although it returned an error, the counts are too high until the handle is released. That is harmless. Lowering them
// could make them too low, because it is unknown whether the write took effect.
func (t *tally) add(ctx context.Context, places []place) error {
	counts := map[netip.Prefix]int{}
	for _, p := range places {
		counts[p.cidr]++
	}
	row, err := t.handles.countUp(ctx, t.id, counts)
	if err != nil {
		return err
	}
	t.row = row
	for cidr, n := range counts {
		t.counted[cidr] += n
	}
	return nil
}

// isNew reports whether the handle counts only the addresses that this request has counted.
func (t *tally) isNew() bool { return maps.Equal(t.row.Value.Counts, t.counted) }

// confirm gives the handle a new revision: with one write, or with one write per place if another process has written
// to the handle.
func (t *tally) confirm(ctx context.Context, places []place) error {
	row := t.row
	row.Value.Touches++
	row, err := t.handles.backend.store.Handles().Update(ctx, t.id, row)
	if err == nil {
		t.row = row
		return nil
	}
	if err := ignore(err, ErrConflict, ErrNotFound); err != nil {
		return err
	}
	for _, p := range places {
		if err := t.touch(ctx, p.cidr); err != nil {
			return err
		}
	}
	return nil
}

// touch gives the handle a new revision, so that a concurrent release that has read the old one cannot delete it. It
// returns an error that wraps ErrReleased if the handle no longer counts the block.
func (t *tally) touch(ctx context.Context, cidr netip.Prefix) error {
	row, err := t.handles.change(ctx, t.id, t.row.UID, func(h *Handle) bool {
		h.Touches++
		return h.Counts[cidr] > 0
	})
	if err == nil {
		t.row = row
	}
	return err
}

// move counts one address in another block. After a conflict it does not lower the count of the old block: the write
// that met the conflict may have lowered it already, and lowering it twice would hide an address. The release of the
// handle corrects the count.
func (t *tally) move(ctx context.Context, from, to netip.Prefix) error {
	row := t.row
	row.Value.Counts = apply(row.Value.Counts, map[netip.Prefix]int{to: 1, from: -1})
	row, err := t.handles.backend.store.Handles().Update(ctx, t.id, row)
	if errors.Is(asConflict(err), ErrConflict) {
		return t.countMore(ctx, from, to)
	}
	if err != nil {
		return err
	}
	t.row = row
	t.moved(from, to)
	return nil
}

// countMore counts one more address in block to, and keeps the count of block from. The count in from is then no longer
// one of this request: it can be the count of an address that another run of the same ADD has adopted.
func (t *tally) countMore(ctx context.Context, from, to netip.Prefix) error {
	row, err := t.handles.change(ctx, t.id, t.row.UID, func(h *Handle) bool {
		h.Counts = apply(h.Counts, map[netip.Prefix]int{to: 1})
		return true
	})
	if err != nil {
		return err
	}
	t.row = row
	t.moved(from, to)
	return nil
}

// moved records that this request has counted an address in block to instead of block from.
func (t *tally) moved(from, to netip.Prefix) {
	t.counted[from]--
	t.counted[to]++
}

// lower lowers the counts of the handle in some blocks by those that this request has added.
func (t *tally) lower(ctx context.Context, blocks map[netip.Prefix]int) error {
	counts := map[netip.Prefix]int{}
	for cidr := range blocks {
		counts[cidr] = t.counted[cidr]
	}
	return t.handles.countDown(ctx, t.id, t.row, counts)
}
