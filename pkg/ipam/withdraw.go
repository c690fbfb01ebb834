package ipam

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
)

// Withdraw takes an assignment back as if it had never been: no cooldown, and nothing else that the handle holds is touched.
// One that failed may be repeated: the handle is counted down by what this call has freed, so that nothing is counted down twice.
func (a *Allocator) Withdraw(ctx context.Context, r Request, got []Assigned) error {
	handle, err := get(ctx, a.Store.Handles(), r.Handle)
	if err != nil {
		return ignore(err, ErrNotFound)
	}
	s := &search{a: a, request: r, handle: handle, counted: map[netip.Prefix]int{}}
	for _, g := range got {
		if !g.Again {
			s.counted[g.Block]++
		}
	}
	freed, err := s.freeMine(ctx)
	maps.DeleteFunc(freed, func(_ netip.Prefix, n int) bool { return n == 0 })
	_, down := a.countDown(ctx, r.Handle, handle, freed)
	return errors.Join(err, down)
}

// dropUnused deletes a handle by which nothing is held, as one that was made by a request whose answer got lost. A handle
// that holds something, or that somebody writes to meanwhile, stays as it is. As in a release, the blocks that it counts
// are written first, so that an assignment on its way looks again.
func (a *Allocator) dropUnused(ctx context.Context, handle string) error {
	h, err := a.Lookup(ctx, handle)
	if err != nil || !h.found {
		return err
	}
	for cidr := range h.row.Value.Counts {
		row, err := get(ctx, a.Store.Blocks(), cidr)
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
		if _, err := a.Store.Blocks().Update(ctx, cidr, row); err != nil {
			return ignore(err, ErrConflict, ErrNotFound)
		}
	}
	return ignore(remove(ctx, a.Store.Handles(), handle, h.row), ErrConflict)
}

// withdraw undoes the request: what it may hold in the blocks that it counted, and then their counts.
func (s *search) withdraw(ctx context.Context) error {
	counts, err := s.freeMine(ctx)
	for cidr := range counts {
		// Also what was counted, and never written.
		counts[cidr] = s.counted[cidr]
	}
	_, down := s.a.countDown(ctx, s.request.Handle, s.handle, counts)
	return errors.Join(err, down)
}

// freeMine frees what the request may hold in the blocks that it counted, and returns how much that was in each. A block that
// cannot be written is not among these, and so stays counted; it keeps no other from being freed.
func (s *search) freeMine(ctx context.Context) (map[netip.Prefix]int, error) {
	freed := map[netip.Prefix]int{}
	var errs []error
	for _, cidr := range slices.SortedFunc(maps.Keys(s.counted), netip.Prefix.Compare) {
		// No cooldown: the address was never in use.
		from, err := s.a.releaseFrom(ctx, cidr, s.request.Handle, s.mine, s.handle.Value.Counts[cidr], 0)
		if err != nil {
			errs = append(errs, fmt.Errorf("withdraw from block %s what handle %s was given: %w", cidr, s.request.Handle, err))
			continue
		}
		freed[cidr] = len(from.Addrs)
	}
	return freed, errors.Join(errs...)
}
