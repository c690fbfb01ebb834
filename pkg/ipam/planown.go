// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"context"
	"errors"
	"net/netip"

	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/ipam/pool"
)

// maxBatch is how many blocks are read at the same time. The first batch is one block, because the first block usually
// serves the request.
const maxBatch = 16

// errIncomplete: an affinity and its block disagree, or may disagree.
var errIncomplete = errors.New("affinity is not confirmed")

// cached returns a place in the cached blocks of the node that belong to some pools.
func (p *plan) cached(w Want, pools []pool.Pool) (place, bool) {
	if !p.own.fromCache {
		return place{}, false
	}
	for _, affinity := range p.affinitiesIn(pools, true) {
		row, ok := p.own.blocks[affinity.Key.CIDR]
		if !ok || p.own.verify(affinity, row, nil) != nil {
			continue
		}
		at := place{want: w, cidr: affinity.Key.CIDR, row: row}
		if p.picker.room(at) == nil {
			p.own.use(at.cidr)
			return at, true
		}
	}
	return place{}, false
}

// readOwn reads the blocks of affinities and yields those that have room.
func (p *plan) readOwn(ctx context.Context, w Want, affinities []AffinityRow) candidates {
	return func(yield func(candidate, error) bool) {
		rest := affinities
		for size := 1; len(rest) > 0; size = maxBatch {
			batch := rest[:min(size, len(rest))]
			rest = rest[len(batch):]
			for i, read := range p.readBatch(ctx, w, batch) {
				c, err := p.assess(w, batch[i], read)
				if errors.Is(err, errFull) {
					continue
				}
				if !yield(c, err) {
					return
				}
			}
		}
	}
}

// readResult is the answer to a read of a block.
type readResult struct {
	row Row[block.Block]
	err error
}

// readBlocks reads blocks at the same time. The error of a block that does not exist or is malformed is in its result.
func (b backend) readBlocks(ctx context.Context, cidrs []netip.Prefix) ([]readResult, error) {
	results := make([]readResult, len(cidrs))
	g, inGroup := b.group(ctx)
	for i, cidr := range cidrs {
		g.Go(func() error {
			results[i].row, results[i].err = get(inGroup, b.store.Blocks(), cidr)
			return ignore(results[i].err, ErrNotFound, ErrMalformed)
		})
	}
	return results, g.Wait()
}

// readBatch reads the blocks of affinities at the same time, except cached blocks that have room.
func (p *plan) readBatch(ctx context.Context, w Want, affinities []AffinityRow) []readResult {
	results := make([]readResult, len(affinities))
	g, inGroup := p.backend.group(ctx)
	for i, affinity := range affinities {
		cidr := affinity.Key.CIDR
		row, ok := p.own.use(cidr)
		// A cached block may be stale. A block counts as full only after it was read from the store.
		if ok && p.picker.room(place{want: w, cidr: cidr, row: row}) == nil {
			results[i].row = row
			continue
		}
		g.Go(func() error {
			results[i].row, results[i].err = get(inGroup, p.backend.store.Blocks(), cidr)
			return nil
		})
	}
	_ = g.Wait() // each result has its own error
	return results
}

// assess returns a candidate for a block of the node as it was read, or errFull if the block cannot serve the want.
func (p *plan) assess(w Want, affinity AffinityRow, read readResult) (candidate, error) {
	c := candidate{place: place{want: w, cidr: affinity.Key.CIDR, row: read.row}, step: checkOverlap, affinity: affinity}
	switch err := p.own.verify(affinity, read.row, read.err); {
	case errors.Is(err, errIncomplete):
		c.step = repairClaim
		return c, nil
	case err != nil:
		return c, err
	}
	if err := p.picker.room(c.place); err != nil {
		p.unavailable.add(p.picker, read.row.Value)
		p.full[c.cidr] = true
		return c, err
	}
	return c, nil
}

// verify returns nil if an affinity is confirmed and its block, as it was read, belongs to the node. Otherwise it
// returns errIncomplete.
//
// If the affinity was derived from the cache, it returns errFull if the block does not belong to the node, and
// errIncomplete if no address of the block is allocated: another node may be taking the block over, which only the
// affinity shows. Cooling addresses do not count, because the clock of that node may be ahead.
func (n *nodeBlocks) verify(affinity AffinityRow, row Row[block.Block], err error) error {
	fromCache := n.fromCache && !n.fresh
	gone := errors.Is(err, ErrNotFound) || err == nil && row.Value.Affinity != hostAffinity(affinity.Key.Node)
	switch {
	case !fromCache && (affinity.Rev == nil || affinity.Deleted || affinity.Value.State != Confirmed):
		return errIncomplete
	case gone && fromCache:
		return errFull
	case gone, err == nil && fromCache && row.Value.Empty(n.backend.now(), 0):
		return errIncomplete
	}
	return err
}
