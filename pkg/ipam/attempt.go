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

// attempt is one request on its way to its addresses: it finds places, counts the handle, and writes the blocks.
type attempt struct {
	backend  backend
	request  Request
	plan     *plan
	finder   *finder
	tally    *tally
	releases releases
	// adopting says that the request takes over the addresses of an earlier run. Then it has allocated none itself.
	adopting bool
	lockNode func(ctx context.Context) (waited bool)
}

func newAttempt(b backend, view View, r Request, lockNode func(ctx context.Context) (waited bool)) *attempt {
	p := newPlan(b, view, r)
	return &attempt{
		backend: b, request: r, plan: p, lockNode: lockNode, releases: newReleases(b),
		finder: &finder{backend: b, plan: p, claims: newClaims(b), chosen: map[netip.Prefix]bool{}},
		tally:  &tally{handles: handles{b}, id: r.Handle, counted: map[netip.Prefix]int{}},
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
		// The handle needs no lock, so that a request with cached places waits for it only now.
		if err := t.lockCached(ctx, places); err != nil {
			return nil, err
		}
	}
	return t.writeAll(ctx, places)
}

// lock waits for the node's lock. If it had to wait, the blocks that the request knows are replaced by those that the
// cache has now.
func (t *attempt) lock(ctx context.Context) (waited bool) {
	if t.lockNode == nil || !t.lockNode(ctx) {
		return false
	}
	t.plan.own.reloadAll()
	return true
}

// lockCached waits for the node's lock. If it had to wait, it updates the places from the cache.
//
// A release of the same handle may have written a block before the cache was read again; the write of the block would
// not conflict with that release. The handle is therefore written after the read: either the release has already
// deleted the handle, or its deletion fails with a conflict.
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

// existing returns the addresses that an earlier run of the same request has allocated, if they are what this request
// wants: that run may have been killed, or its answer lost. It returns nil for a new attachment, whose handle counts
// only what this request has just counted.
func (t *attempt) existing(ctx context.Context) ([]Assigned, error) {
	if t.request.SameAttachment == nil || t.tally.onlyOurs() {
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
	return got, nil
}

// writeAll allocates in all places at the same time. After a failure because of other writers it tries the failed ones
// again, one after the other.
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

// write allocates in a block as it was read, by one write.
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

// assigned describes an address of a block as it is stored now, and caches the block if the node owns it.
func (t *attempt) assigned(p place, stored Row[block.Block], addr netip.Addr) Assigned {
	borrowed := stored.Value.Affinity != hostAffinity(t.request.Node)
	if !borrowed {
		t.backend.cache.Put(p.cidr, stored)
	}
	next := place{want: Want{IPv6: p.want.IPv6}, cidr: p.cidr, row: stored}
	return Assigned{Addr: addr, Block: p.cidr, Borrowed: borrowed, Last: t.plan.picker.room(next) != nil}
}

// withdraw reverts the request. It keeps the addresses of an earlier run and their counts: that run may have succeeded,
// and its pod use them. A DEL releases them. Otherwise withdraw releases what the request may have allocated in the blocks that it has counted, and
// then lowers the counts, including those of addresses that were never written.
func (t *attempt) withdraw(ctx context.Context) error {
	if t.adopting {
		return nil
	}
	released, err := t.releases.releaseRequest(ctx, t.request, t.tally.row.Value, t.tally.counted)
	return errors.Join(err, t.tally.lower(ctx, released))
}
