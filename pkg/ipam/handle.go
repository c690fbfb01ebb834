package ipam

import (
	"context"
	"errors"
	"maps"
	"net/netip"
)

// count changes what a handle counts, making it or deleting it as that needs. A handle that does not exist counts nothing.
func (a *Allocator) count(ctx context.Context, id string, change map[netip.Prefix]int) error {
	t := a.Store.Handles()
	return retry(ctx, "count addresses of handle "+id, func() error {
		// A new attachment has a new handle, so creating it first saves the read.
		if fresh := apply(nil, change); len(fresh) > 0 {
			_, err := t.Create(ctx, id, Handle{ID: id, Counts: fresh})
			if !errors.Is(err, ErrExists) {
				return err
			}
		}
		row, err := get(ctx, t, id)
		if errors.Is(err, ErrNotFound) {
			if len(apply(nil, change)) == 0 {
				return nil
			}
			return ErrConflict
		}
		if err != nil {
			return err
		}
		row.Value.Counts = apply(row.Value.Counts, change)
		return a.putHandle(ctx, id, row)
	})
}

// putHandle writes a handle back, or deletes it when it counts nothing any more.
func (a *Allocator) putHandle(ctx context.Context, id string, row Row[Handle]) error {
	t := a.Store.Handles()
	if len(row.Value.Counts) == 0 {
		return remove(ctx, t, id, row)
	}
	_, err := t.Update(ctx, id, row)
	return err
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
