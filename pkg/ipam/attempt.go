// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"

	"calico-cni/internal/undo"
	"calico-cni/pkg/ipam/block"
)

// attempt is one run of Assign. It finds places, counts the handle, and writes the blocks.
type attempt struct {
	backend  backend
	request  Request
	plan     *plan
	finder   *finder
	tally    *tally
	releases releases
	// adopting says that the request takes over the addresses of an earlier run. Then it has allocated none itself.
	adopting bool
	// borrowed says which adopted addresses are in blocks of other owners.
	borrowed map[netip.Addr]bool
	lockNode func(ctx context.Context) (waited bool)
}

func newAttempt(b backend, view View, r Request, lockNode func(ctx context.Context) (waited bool)) *attempt {
	p := newPlan(b, view, r)
	return &attempt{
		backend: b, request: r, plan: p, lockNode: lockNode, releases: newReleases(b),
		finder: newFinder(b, p), borrowed: map[netip.Addr]bool{},
		tally: &tally{handles: handles{b}, id: r.Handle, counted: map[netip.Prefix]int{}},
	}
}

// assign allocates an address for each want, or none.
func (t *attempt) assign(ctx context.Context) (got []Assigned, err error) {
	var u undo.Stack
	defer func() { u.OnError(ctx, &err) }()

	places := t.plan.cachedPlaces(t.request.Wants)
	cached := places != nil
	if !cached {
		t.lock(ctx)
		if places, err = t.finder.findAll(ctx, t.request.Wants); err != nil {
			return nil, err
		}
	}
	u.Push(func(ctx context.Context) error { return t.releases.dropUnused(ctx, t.request.Handle) })
	if err := t.tally.add(ctx, places); err != nil {
		return nil, err
	}
	u.Push(t.withdraw)
	if got, err = t.existing(ctx); got != nil || err != nil {
		return got, err
	}
	if cached {
		// Only the writes of blocks need the lock, so that a request with cached places takes it after the handle.
		if err := t.lockCached(ctx, places); err != nil {
			return nil, err
		}
	}
	return t.writeAll(ctx, places)
}

// lock waits for the node's lock and reports whether it had to wait. If so, it reloads the blocks of the node from the
// cache.
func (t *attempt) lock(ctx context.Context) (waited bool) {
	if t.lockNode == nil || !t.lockNode(ctx) {
		return false
	}
	t.plan.own.reloadAll()
	return true
}

// lockCached waits for the node's lock. If it had to wait, it updates the places from the cache.
//
// If a release of the same handle wrote a block before the cache was read again, the write of that block would not
// conflict with the release. The handle is therefore written after the read: either the release has already deleted the
// handle, or its deletion fails with a conflict.
func (t *attempt) lockCached(ctx context.Context, places []place) error {
	if !t.lock(ctx) {
		return nil
	}
	changed := false
	for i, p := range places {
		if row, ok := t.backend.cache.Get(p.cidr); ok {
			changed = changed || row.Value.Sequence != p.row.Value.Sequence
			places[i].row = row
		}
	}
	if !changed {
		return nil
	}
	return t.tally.confirm(ctx, places)
}

// existing returns the addresses that an earlier run of the same request has allocated, if they match the wants. The
// earlier run may have been killed, or its answer lost. existing returns nil for a new attachment, whose handle counts
// only the addresses that this request has just counted.
func (t *attempt) existing(ctx context.Context) ([]Assigned, error) {
	if t.request.SameAttachment == nil || t.tally.isNew() {
		return nil, nil
	}
	held, err := heldIn(ctx, t.backend, slices.Collect(maps.Keys(t.tally.row.Value.Counts)))
	if err != nil {
		return nil, err
	}
	held = slices.DeleteFunc(held, func(h Held) bool {
		return !block.SameHandle(h.Handle, t.request.Handle) || !t.request.SameAttachment(h.Owner)
	})
	got := matchExisting(t.request.Wants, held)
	if got == nil {
		return nil, nil
	}
	if adopted, err := t.adopt(ctx, held); err != nil || !adopted {
		return nil, err
	}
	for i, g := range got {
		got[i].Borrowed = t.borrowed[g.Addr]
	}
	return got, nil
}

// writeAll allocates in all places at the same time. It then retries those that failed, one after the other.
func (t *attempt) writeAll(ctx context.Context, places []place) ([]Assigned, error) {
	got, failed := make([]Assigned, len(places)), make([]error, len(places))
	// The context of the group is not used: a write that fails does not cancel the others.
	g, _ := t.backend.group(ctx)
	for i, p := range places {
		g.Go(func() error {
			got[i], failed[i] = t.write(ctx, p)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for i, p := range places {
		if failed[i] == nil {
			continue
		}
		var err error
		if got[i], err = t.rewrite(ctx, p, failed[i]); err != nil {
			return nil, err
		}
	}
	return got, nil
}

// write allocates an address in a block as it was read, and writes the block.
func (t *attempt) write(ctx context.Context, p place) (Assigned, error) {
	b := p.row.Value.Clone()
	h, err := t.plan.picker.pick(&b, p.want)
	if err != nil {
		return Assigned{}, err
	}
	b.Sequence++
	written, err := t.backend.store.Blocks().Update(ctx, p.cidr, Row[block.Block]{Value: b, Rev: p.row.Rev})
	if err != nil {
		return Assigned{}, err
	}
	return t.assigned(p, written, h.Addr), nil
}

// assigned returns the result for an address of a stored block, and caches the block if the node owns it.
func (t *attempt) assigned(p place, stored Row[block.Block], addr netip.Addr) Assigned {
	borrowed := stored.Value.Affinity != hostAffinity(t.request.Node)
	if !borrowed {
		t.backend.cache.Put(p.cidr, stored)
	}
	next := place{want: Want{IPv6: p.want.IPv6}, cidr: p.cidr, row: stored}
	return Assigned{Addr: addr, Block: p.cidr, Borrowed: borrowed, Last: t.plan.picker.room(next) != nil}
}

// withdraw reverts the request. It releases the addresses that the request may have allocated in the blocks that it has
// counted, and then lowers the counts, including those of addresses that were never written. It keeps addresses of an
// earlier run, and their counts: that run may have succeeded, and its pod may use them. A DEL releases them.
func (t *attempt) withdraw(ctx context.Context) error {
	if t.adopting {
		return nil
	}
	released, err := t.releases.releaseRequest(ctx, t.request, t.tally.row.Value, t.tally.counted)
	return errors.Join(err, t.tally.lower(ctx, released))
}
