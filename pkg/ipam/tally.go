// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"context"
	"errors"
	"maps"
	"net/netip"
)

// tally is the handle of one request, and what the request has added to its counts.
type tally struct {
	handles handles
	id      string
	// row is the handle as it was last written. counted is what it counts for this request.
	row     Row[Handle]
	counted map[netip.Prefix]int
}

// add counts one address per place, and remembers what was counted for certain. If a write takes effect although it
// failed, the handle counts too much until it is released. That is harmless; to lower it without knowing could make it
// count too little.
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

// onlyOurs reports whether the handle counts nothing but what this request has counted.
func (t *tally) onlyOurs() bool { return maps.Equal(t.row.Value.Counts, t.counted) }

// confirm gives the handle a new revision: by one write if no other process has written to it, else one per place.
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

// move counts one address in another block. After a conflict the count of the old block stays: the write that met the
// conflict may have lowered it already, and to lower it twice would hide an address. The release of the handle corrects
// it.
func (t *tally) move(ctx context.Context, from, to netip.Prefix) error {
	row := t.row
	row.Value.Counts = apply(row.Value.Counts, map[netip.Prefix]int{to: 1, from: -1})
	row, err := t.handles.backend.store.Handles().Update(ctx, t.id, row)
	if errors.Is(asConflict(err), ErrConflict) {
		row, err = t.handles.change(ctx, t.id, t.row.UID, func(h *Handle) bool {
			h.Counts = apply(h.Counts, map[netip.Prefix]int{to: 1})
			return true
		})
	}
	if err != nil {
		return err
	}
	t.row = row
	t.counted[from]--
	t.counted[to]++
	return nil
}

// lower lowers the handle by what this request has counted in some blocks.
func (t *tally) lower(ctx context.Context, blocks map[netip.Prefix]int) error {
	counts := map[netip.Prefix]int{}
	for cidr := range blocks {
		counts[cidr] = t.counted[cidr]
	}
	_, err := t.handles.countDown(ctx, t.id, t.row, counts)
	return err
}
