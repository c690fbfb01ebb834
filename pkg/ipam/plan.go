// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"calico-cni/pkg/ipam/pool"
)

// plan finds the blocks that can serve a request. It only reads the store. The finder makes the writes, and reports
// their outcome to the plan: blocks that the node now owns, and blocks that cannot be used.
type plan struct {
	backend backend
	config  Config
	pools   poolSet
	own     *nodeBlocks
	picker  picker
	// overlaps also only reads.
	overlaps overlaps
	// full are blocks that have no room, or cannot be used because they overlap others.
	full       map[netip.Prefix]bool
	overlapped map[netip.Prefix]*OverlapError
	// unavailable are free addresses that cannot be allocated. reasons says why the pools of the last search have no
	// room.
	unavailable unavailable
	reasons     []string
	// maxLook bounds how many blocks of each pool a search reads.
	maxLook int
}

func newPlan(b backend, view View, r Request) *plan {
	return &plan{
		backend: b, overlaps: overlaps{b}, config: view.Config,
		pools: poolSet{view.Pools, view.NodeLabels}, own: newNodeBlocks(b, view, r.Node),
		picker: picker{r, pool.NewRanges(view.Reserved), b.now, view.Config.Cooldown},
		full:   map[netip.Prefix]bool{}, overlapped: map[netip.Prefix]*OverlapError{}, maxLook: maxLook,
	}
}

// cachedPlaces returns a place for each want in the cached blocks of the node, without a request to the store. It
// returns nil if a want has none there.
func (p *plan) cachedPlaces(wants []Want) []place {
	if !p.own.fromCache {
		return nil
	}
	places := make([]place, len(wants))
	for i, w := range wants {
		if w.Addr.IsValid() {
			return nil
		}
		pools, _, err := p.choose(w)
		if err != nil {
			return nil
		}
		found, ok := p.cached(w, pools)
		if !ok {
			return nil
		}
		places[i] = found
	}
	return places
}

func (p *plan) choose(w Want) ([]pool.Pool, []pool.Rejection, error) {
	return p.pools.choose(w, p.picker.request.NamespaceLabels)
}

// ownBlocks yields the node's blocks that have room for a want: a cached one; then, read from the store, those whose
// affinities are known; then those of a new list of affinities.
func (p *plan) ownBlocks(ctx context.Context, w Want, pools []pool.Pool) candidates {
	return func(yield func(candidate, error) bool) {
		p.own.addCached(p.full)
		if found, ok := p.cached(w, pools); ok && !yield(candidate{place: found, step: allocateNow}, nil) {
			return
		}
		for c, err := range p.readOwn(ctx, w, p.affinitiesIn(pools, true)) {
			if !yield(c, err) {
				return
			}
		}
		if err := p.own.refresh(ctx); err != nil {
			yield(candidate{}, err)
			return
		}
		for c, err := range p.readOwn(ctx, w, p.affinitiesIn(pools, true)) {
			if !yield(c, err) {
				return
			}
		}
	}
}

// newBlocks yields blocks that the node does not use yet. It yields, for each pool, free blocks and then empty blocks
// of other nodes; after all pools, the node's own blocks whose size is not that of their pool; and, unless affinity is
// strict, blocks of other nodes to borrow from. limit says why the node may claim no blocks, or is empty.
func (p *plan) newBlocks(ctx context.Context, w Want, pools []pool.Pool, limit string) candidates {
	return func(yield func(candidate, error) bool) {
		p.reasons = nil
		var lenders []place
		for _, in := range pools {
			walk := newWalk(p, w, in, limit)
			for c, err := range walk.candidates(ctx) {
				if !yield(c, err) {
					return
				}
			}
			lenders = append(lenders, walk.used.lenders...)
			p.reasons = append(p.reasons, in.Name+": "+walk.shortage().reason())
		}
		for c, err := range p.readOwn(ctx, w, p.affinitiesIn(pools, false)) {
			if !yield(c, err) {
				return
			}
		}
		if p.config.StrictAffinity {
			return
		}
		for _, lender := range lenders {
			if !yield(candidate{place: lender, step: checkOverlap}, nil) {
				return
			}
		}
	}
}

// affinitiesIn returns the node's affinities in some pools, in the order of the pools, without those of full blocks. If
// fitting is true, it returns those for blocks of their pool's block size, else the others. Affinities that have to be
// repaired come first, because routes exist for confirmed affinities only.
func (p *plan) affinitiesIn(pools []pool.Pool, fitting bool) (rows []AffinityRow) {
	for _, in := range pools {
		for _, row := range p.own.rows {
			cidr := row.Key.CIDR
			if p.pools.in(cidr, in) && p.pools.fits(cidr) == fitting && !p.full[cidr] {
				rows = append(rows, row)
			}
		}
	}
	slices.SortStableFunc(rows, func(a, b AffinityRow) int { return a.urgency() - b.urgency() })
	return rows
}

// urgency is lower for an affinity that was read and is not confirmed.
func (r AffinityRow) urgency() int {
	if r.Rev != nil && r.Value.State != Confirmed {
		return 0
	}
	return 1
}

// unusable reports whether no address of a block can serve a want, because the block lies in none of the pools.
func unusable(cidr netip.Prefix, w Want, pools []pool.Pool) bool {
	_, usable := pool.Containing(pools, cidr.Addr())
	return cidr.Addr().Is6() == w.IPv6 && !usable
}

// checkOverlap returns an OverlapError if the block of a place overlaps others. A block that has passed this check
// before is not checked again.
func (p *plan) checkOverlap(ctx context.Context, at place) error {
	if at.checked || p.overlaps.passed(at.row) && p.pools.fits(at.cidr) {
		return nil
	}
	return p.overlaps.check(ctx, at.cidr)
}

// exclude excludes the block of an OverlapError from the plan, and returns errFull. It returns other errors unchanged.
func (p *plan) exclude(err error) error {
	var overlap *OverlapError
	if !errors.As(err, &overlap) {
		return err
	}
	p.full[overlap.Block] = true
	p.overlapped[overlap.Block] = overlap
	return errFull
}

// include reverts exclude.
func (p *plan) include(cidr netip.Prefix) {
	delete(p.full, cidr)
	delete(p.overlapped, cidr)
}
