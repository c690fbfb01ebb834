// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"context"
	"errors"
	"net/netip"
)

// maxPasses bounds how often a search is repeated after claims collided with claims of other processes.
const maxPasses = 5

// finder tries the candidates of a plan one after the other, and returns the first usable one as a place. It claims
// blocks, and releases the node's blocks that cannot serve the request.
type finder struct {
	backend   backend
	plan      *plan
	claims    claims
	releases  blockReleases
	takeovers takeovers
	// chosen are the blocks of the places that were found. They are not released, even if they are empty.
	chosen map[netip.Prefix]bool
	// collisions are the overlaps that the current search has met.
	collisions []*OverlapError
}

func newFinder(b backend, p *plan) *finder {
	return &finder{
		backend: b, plan: p, claims: newClaims(b), releases: newBlockReleases(b), takeovers: newTakeovers(b),
		chosen: map[netip.Prefix]bool{},
	}
}

// findAll finds a place for each want.
func (f *finder) findAll(ctx context.Context, wants []Want) (places []place, err error) {
	places = make([]place, len(wants))
	for i, w := range wants {
		if places[i], err = f.find(ctx, w); err != nil {
			return nil, err
		}
		f.chosen[places[i].cidr] = true
	}
	return places, nil
}

// find finds a place for a want: in a block that the node owns, in a new block, or, unless affinity is strict, in a
// block of another node.
func (f *finder) find(ctx context.Context, w Want) (place, error) {
	if w.Addr.IsValid() {
		return f.findAddr(ctx, w)
	}
	pools, rejected, err := f.plan.choose(w)
	if err != nil {
		return place{}, err
	}
	if len(pools) == 0 {
		return place{}, noPool(w, rejected)
	}
	if found, err := f.first(ctx, f.plan.ownBlocks(ctx, w, pools)); !errors.Is(err, errFull) {
		return found, err
	}
	limit, err := f.releaseUnused(ctx, w, pools)
	if err != nil {
		return place{}, err
	}
	for pass := 1; ; pass++ {
		if found, err := f.first(ctx, f.plan.newBlocks(ctx, w, pools, limit)); !errors.Is(err, errFull) {
			return found, err
		}
		again, err := f.collisionsGone(ctx, pass)
		if err != nil {
			return place{}, err
		}
		if !again {
			return place{}, f.plan.noAddress(w, rejected)
		}
	}
}

// first returns the first candidate that can be used, or errFull.
func (f *finder) first(ctx context.Context, all candidates) (place, error) {
	for c, err := range all {
		if err != nil {
			return place{}, err
		}
		if found, err := f.prepare(ctx, c); !errors.Is(err, errFull) {
			return found, err
		}
	}
	return place{}, errFull
}

// prepare takes the step that a candidate needs. It returns errFull if the block cannot be used.
func (f *finder) prepare(ctx context.Context, c candidate) (place, error) {
	switch c.step {
	case allocateNow:
		return c.place, nil
	case checkOverlap:
		return c.place, f.check(ctx, c.place)
	case repairClaim:
		return f.repair(ctx, c)
	case claimFree:
		mine, err := f.claims.claim(ctx, f.plan.own.node, c.cidr)
		return f.afterClaim(ctx, c, mine, err)
	case takeOver:
		mine, err := f.takeovers.takeOver(ctx, f.plan.own.node, c.cidr)
		return f.afterClaim(ctx, c, mine, err)
	case replaceOthers:
		mine, err := f.takeovers.replace(ctx, f.plan.own.node, c.cidr)
		if err == nil {
			f.plan.include(c.cidr)
		}
		return f.afterClaim(ctx, c, mine, err)
	default:
		return place{}, errFull
	}
}

// repair completes the node's affinity for a block.
func (f *finder) repair(ctx context.Context, c candidate) (place, error) {
	mine, err := f.claims.repair(ctx, c.affinity)
	if errors.Is(err, errNotOwned) {
		_ = f.exclude(err) // Record an overlap. The node does not own the block in any case.
		f.plan.own.remove(c.affinity.Key)
		return place{}, errFull
	}
	if err != nil {
		return place{}, err
	}
	return f.usable(ctx, c, mine)
}

// afterClaim returns the place in a block that the node has claimed, or tried to.
func (f *finder) afterClaim(ctx context.Context, c candidate, mine claimed, err error) (place, error) {
	if errors.Is(err, errNotOwned) {
		_ = f.exclude(err) // Record an overlap.
		return place{}, errFull
	}
	if err != nil {
		return place{}, err
	}
	f.plan.own.add(c.cidr)
	return f.usable(ctx, c, mine)
}

// usable returns the place in a block that the node owns, if the block has room and overlaps no other.
func (f *finder) usable(ctx context.Context, c candidate, mine claimed) (place, error) {
	found := place{want: c.want, cidr: c.cidr, row: mine.row, checked: mine.checked}
	if err := f.plan.picker.room(found); err != nil {
		return found, err
	}
	return found, f.check(ctx, found)
}

// check returns errFull if the block of a place overlaps others.
func (f *finder) check(ctx context.Context, at place) error {
	return f.exclude(f.plan.checkOverlap(ctx, at))
}

// exclude excludes the block of an OverlapError from the plan, and returns errFull. It returns other errors unchanged.
func (f *finder) exclude(err error) error {
	var overlap *OverlapError
	if errors.As(err, &overlap) {
		f.collisions = append(f.collisions, overlap)
	}
	return f.plan.exclude(err)
}

// collisionsGone reports whether a search that failed should be repeated, because a block that it collided with is
// gone. If two processes claim overlapping blocks at the same time, both may withdraw. The wait before the next pass
// is random, so that one of them is first in that pass.
func (f *finder) collisionsGone(ctx context.Context, pass int) (bool, error) {
	collisions := f.collisions
	f.collisions = nil
	if len(collisions) == 0 || pass >= maxPasses {
		return false, nil
	}
	if err := f.backend.pause(ctx, pass+1); err != nil {
		return false, err
	}
	for _, c := range collisions[:min(len(collisions), maxBatch)] {
		err := f.plan.overlaps.check(ctx, c.Block)
		if err == nil {
			f.plan.include(c.Block)
			return true, nil
		}
		if !errors.Is(err, errNotOwned) {
			return false, err
		}
	}
	return false, nil
}
