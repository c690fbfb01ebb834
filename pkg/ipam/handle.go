package ipam

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"

	"calico-cni/pkg/ipam/block"
)

// countUp raises what a handle counts, making it as needed, and returns the handle.
func (a *Allocator) countUp(ctx context.Context, id string, by map[netip.Prefix]int) (Row[Handle], error) {
	t := a.Store.Handles()
	var row Row[Handle]
	err := a.retry(ctx, "count addresses of handle "+id, func() (err error) {
		// A new attachment has a new handle, so that creating it first saves the read.
		row, err = t.Create(ctx, id, Handle{ID: id, Counts: apply(nil, by)})
		if !errors.Is(err, ErrExists) {
			return err
		}
		if row, err = get(ctx, t, id); err != nil {
			return missing(err)
		}
		if !block.SameHandle(row.Value.ID, id) {
			return fmt.Errorf("assign address to handle %s: %w: handle %s of another container has the same name but for upper and lower case", id, ErrHandleTaken, row.Value.ID)
		}
		row.Value.Counts = apply(row.Value.Counts, by)
		row, err = t.Update(ctx, id, row)
		return missing(err)
	})
	return row, err
}

// countDown lowers what a handle counts, deleting it when that is nothing, provided that nobody wrote to the handle
// since row. If somebody did, nobody can tell whether the count is still in it: it is left too high, which does no
// harm and which the handle's release settles. To lower it twice would hide an address for ever.
func (a *Allocator) countDown(ctx context.Context, id string, row Row[Handle], by map[netip.Prefix]int) (Row[Handle], error) {
	if row.Rev == nil || len(by) == 0 {
		return row, nil
	}
	t := a.Store.Handles()
	down := map[netip.Prefix]int{}
	for cidr, n := range by {
		down[cidr] = -n
	}
	row.Value.Counts = apply(row.Value.Counts, down)
	if len(row.Value.Counts) == 0 {
		return row, ignore(remove(ctx, t, id, row), ErrConflict)
	}
	written, err := t.Update(ctx, id, row)
	if err != nil {
		return row, ignore(err, ErrConflict, ErrNotFound)
	}
	return written, nil
}

// touch gives a handle a new revision, so that a concurrent release that read the old one cannot delete it. It
// returns an error that wraps ErrReleased when the handle no longer counts the block, or has another UID than that one:
// a release has deleted the handle, and the new one counts for another assignment.
func (a *Allocator) touch(ctx context.Context, id, uid string, cidr netip.Prefix) (Row[Handle], error) {
	t := a.Store.Handles()
	var row Row[Handle]
	err := a.retry(ctx, "keep handle "+id, func() (err error) {
		row, err = get(ctx, t, id)
		if errors.Is(err, ErrNotFound) || err == nil && (row.UID != uid || row.Value.Counts[cidr] == 0) {
			return fmt.Errorf("assign address to handle %s: %w: its container is being deleted", id, ErrReleased)
		}
		if err != nil {
			return err
		}
		row.Value.Touches++
		row, err = t.Update(ctx, id, row)
		return missing(err)
	})
	return row, err
}

// apply returns counts after a change, without the blocks that count nothing.
func apply(counts, change map[netip.Prefix]int) map[netip.Prefix]int {
	out := make(map[netip.Prefix]int, len(counts)+len(change))
	maps.Copy(out, counts)
	for cidr, n := range change {
		if out[cidr] += n; out[cidr] <= 0 {
			delete(out, cidr)
		}
	}
	return out
}
