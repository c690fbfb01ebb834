// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"strings"

	"calico-cni/pkg/ipam/block"
)

// handles reads handles and changes their counts.
type handles struct{ backend backend }

// Holder is the result of Allocator.Lookup.
type Holder struct {
	id    string
	found bool
	row   Row[Handle]
}

// Found reports whether the handle exists.
func (h Holder) Found() bool { return h.found }

func (h handles) lookup(ctx context.Context, id string) (Holder, error) {
	row, err := get(ctx, h.backend.store.Handles(), id)
	if errors.Is(err, ErrNotFound) || err == nil && !block.SameHandle(row.Value.ID, id) {
		return Holder{id: id}, nil
	}
	return Holder{id: id, found: err == nil, row: row}, err
}

// countUp raises the counts of a handle, creates the handle if it does not exist, and returns it.
func (h handles) countUp(ctx context.Context, id string, by map[netip.Prefix]int) (Row[Handle], error) {
	t := h.backend.store.Handles()
	var row Row[Handle]
	err := h.backend.retry(ctx, "count addresses of handle "+id, func() (err error) {
		// A new attachment has a new handle. Creating it without a read saves a request.
		row, err = t.Create(ctx, id, Handle{ID: id, Counts: apply(nil, by)})
		if !errors.Is(err, ErrExists) {
			return err
		}
		if row, err = get(ctx, t, id); err != nil {
			return asConflict(err)
		}
		if !block.SameHandle(row.Value.ID, id) {
			return fmt.Errorf("assign address to handle %s: %w", id, otherHandle(id, row.Value.ID))
		}
		row.Value.Counts = apply(row.Value.Counts, by)
		row, err = t.Update(ctx, id, row)
		return asConflict(err)
	})
	return row, err
}

// otherHandle says why the row under the name of a handle has another ID.
func otherHandle(id, stored string) error {
	if strings.EqualFold(stored, id) {
		return fmt.Errorf("%w: the name of an object is in lower case, and handle %s of another container has the same "+
			"name (delete that container, or use another ID)", ErrHandleTaken, stored)
	}
	return fmt.Errorf("%w: IPAMHandle %s has handleID %q; correct its handleID, or delete the object",
		ErrMalformed, strings.ToLower(id), stored)
}

// countDown lowers the counts of a handle, and deletes the handle if it then counts nothing. If another process has
// written to the handle since row was read, countDown changes nothing: the counts may have been lowered already, and a
// count that is too low would hide an address. The release of the handle corrects counts that are too high.
func (h handles) countDown(ctx context.Context, id string, row Row[Handle], by map[netip.Prefix]int) error {
	if row.Rev == nil || len(by) == 0 {
		return nil
	}
	t := h.backend.store.Handles()
	down := map[netip.Prefix]int{}
	for cidr, n := range by {
		down[cidr] = -n
	}
	row.Value.Counts = apply(row.Value.Counts, down)
	if len(row.Value.Counts) == 0 {
		return ignore(remove(ctx, t, id, row), ErrConflict)
	}
	_, err := t.Update(ctx, id, row)
	return ignore(err, ErrConflict, ErrNotFound)
}

// change reads a handle, applies a change, and writes the handle. It returns an error that wraps ErrReleased if the
// argument change returns false, or if the handle is gone or has another UID: a release has deleted the handle, and a
// handle that was created since belongs to another assignment.
func (h handles) change(ctx context.Context, id, uid string, change func(*Handle) bool) (Row[Handle], error) {
	t := h.backend.store.Handles()
	var row Row[Handle]
	err := h.backend.retry(ctx, "update handle "+id, func() (err error) {
		row, err = get(ctx, t, id)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		if err != nil || row.UID != uid || !change(&row.Value) {
			return fmt.Errorf("assign address to handle %s: %w: its container or another interface of it is being "+
				"deleted; try again if the container stays", id, ErrReleased)
		}
		row, err = t.Update(ctx, id, row)
		return asConflict(err)
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
