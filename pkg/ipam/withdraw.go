// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
)

func (r releases) withdraw(ctx context.Context, request Request, got []Assigned) error {
	row, err := get(ctx, r.backend.store.Handles(), request.Handle)
	if err != nil {
		return ignore(err, ErrNotFound)
	}
	counted := map[netip.Prefix]int{}
	for _, g := range got {
		if !g.Existing {
			counted[g.Block]++
		}
	}
	released, err := r.releaseRequest(ctx, request, row.Value, counted)
	maps.DeleteFunc(released, func(_ netip.Prefix, n int) bool { return n == 0 })
	countErr := r.handles.countDown(ctx, request.Handle, row, released)
	return errors.Join(err, countErr)
}

// releaseRequest releases the addresses that a request may have allocated in some blocks, without a cooldown, because
// they were never in use. It returns the number of released addresses per block. It continues after a block that cannot
// be written, and leaves that block out of the result, so that its addresses stay counted.
func (r releases) releaseRequest(
	ctx context.Context, request Request, h Handle, blocks map[netip.Prefix]int,
) (map[netip.Prefix]int, error) {
	released := map[netip.Prefix]int{}
	which := addrsOf{handle: request.Handle, match: request.owns}
	var errs []error
	for _, cidr := range slices.SortedFunc(maps.Keys(blocks), netip.Prefix.Compare) {
		from, err := r.releaseFrom(ctx, cidr, which, h.Counts[cidr])
		if err != nil {
			errs = append(errs, fmt.Errorf("withdraw the addresses of handle %s from block %s: %w", request.Handle, cidr, err))
			continue
		}
		released[cidr] = len(from.addrs)
	}
	return released, errors.Join(errs...)
}

// dropUnused deletes a handle under which no address is allocated. A request whose answer was lost may have created it.
// A handle that has addresses, or that another process writes to at the same time, is kept. As in a release, the blocks
// that the handle counts are written first, so that an assignment between its two writes conflicts.
func (r releases) dropUnused(ctx context.Context, handle string) error {
	h, err := r.handles.lookup(ctx, handle)
	if err != nil || !h.found {
		return err
	}
	for cidr := range h.row.Value.Counts {
		row, err := get(ctx, r.backend.store.Blocks(), cidr)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if len(row.Value.Held(handle)) > 0 {
			return nil
		}
		row.Value.Sequence++
		if _, err := r.backend.store.Blocks().Update(ctx, cidr, row); err != nil {
			return ignore(err, ErrConflict, ErrNotFound)
		}
	}
	return ignore(remove(ctx, r.backend.store.Handles(), handle, h.row), ErrConflict)
}
