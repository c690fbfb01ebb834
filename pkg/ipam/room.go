// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"context"
	"errors"
	"slices"

	"calico-cni/pkg/ipam/pool"
)

// maxLookRoom bounds how many blocks of a pool Room reads.
const maxLookRoom = 256

// Room returns nil if Assign could serve a request at this moment, or else the error that Assign would return. It
// makes a plan and no attempt. Like every read, it completes deletions that other writers have begun; it writes
// nothing else. It checks the block that it finds for overlap, which takes one request.
//
// Room ignores requested addresses, the namespace selectors of pools, and whether pools serve only requests that name
// them. It reads fewer blocks of a pool than Assign does; if it has not read all of them, it assumes that there is
// room.
func (a *Allocator) Room(ctx context.Context, view View, r Request) error {
	view.Pools = slices.Clone(view.Pools)
	for i := range view.Pools {
		view.Pools[i].Namespace, view.Pools[i].Manual = nil, false
	}
	p := newPlan(a.backend(view.Config.Cooldown), view, r)
	p.maxLook = maxLookRoom
	for _, w := range r.Wants {
		if err := (prediction{p}).assign(ctx, Want{IPv6: w.IPv6, Pools: w.Pools}); err != nil {
			return err
		}
	}
	return nil
}

// prediction replaces the finder. It checks whether the step of each candidate would succeed, and writes nothing.
type prediction struct{ plan *plan }

// assign returns nil if an address can be assigned for a want, or else the error that finder.find would return.
func (r prediction) assign(ctx context.Context, w Want) error {
	pools, rejected, err := r.plan.choose(w)
	if err != nil {
		return err
	}
	if len(pools) == 0 {
		return noPool(w, rejected)
	}
	if err := r.first(ctx, r.plan.ownBlocks(ctx, w, pools)); !errors.Is(err, errFull) {
		return err
	}
	limit := r.plan.limit(w)
	if r.plan.config.AutoAllocateBlocks && r.ownsUnusable(w, pools) {
		// Assign releases such a block if it is empty, and claims another one.
		limit = ""
	}
	if err := r.first(ctx, r.plan.newBlocks(ctx, w, pools, limit)); !errors.Is(err, errFull) {
		return err
	}
	return r.plan.noAddress(w, rejected)
}

// first returns nil if a candidate can be used, or errFull.
func (r prediction) first(ctx context.Context, all candidates) error {
	for c, err := range all {
		if err != nil {
			return err
		}
		if err := r.plan.exclude(r.prepare(ctx, c)); !errors.Is(err, errFull) {
			return err
		}
	}
	return errFull
}

// prepare returns nil if the step that a candidate needs would succeed at this moment.
func (r prediction) prepare(ctx context.Context, c candidate) error {
	switch c.step {
	case checkOverlap:
		return r.plan.checkOverlap(ctx, c.place)
	case repairClaim:
		return r.repair(ctx, c)
	case claimFree, takeOver:
		return r.plan.overlaps.check(ctx, c.cidr)
	case replaceOthers:
		_, err := r.plan.overlaps.idle(ctx, r.plan.own.node, c.cidr)
		if errors.Is(err, errNotOwned) {
			return errFull
		}
		return err
	default:
		return nil
	}
}

// repair returns nil if a block would have room after a repair of the node's affinity. If the block does not exist, the
// repair creates it.
func (r prediction) repair(ctx context.Context, c candidate) error {
	row, err := get(ctx, r.plan.backend.store.Blocks(), c.cidr)
	switch {
	case errors.Is(err, ErrNotFound):
		return r.plan.overlaps.check(ctx, c.cidr)
	case err != nil:
		return err
	case row.Value.Affinity != hostAffinity(c.affinity.Key.Node):
		return errFull
	}
	c.row = row
	if err := r.plan.picker.room(c.place); err != nil {
		return err
	}
	return r.plan.checkOverlap(ctx, c.place)
}

// ownsUnusable reports whether the node owns blocks that cannot serve a want.
func (r prediction) ownsUnusable(w Want, pools []pool.Pool) bool {
	return slices.ContainsFunc(r.plan.own.rows, func(row AffinityRow) bool { return unusable(row.Key.CIDR, w, pools) })
}
