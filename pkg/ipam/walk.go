// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"context"
	"errors"
	"iter"
	"net/netip"

	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/ipam/pool"
)

// maxLook bounds how many blocks of a pool an assignment reads, so that a large pool that is full costs a bounded time.
const maxLook = 2048

// walk is a search through one pool for blocks that the node does not own.
type walk struct {
	plan *plan
	want Want
	pool pool.Pool
	// limit says why the node may claim no blocks, or is empty.
	limit string
	// seen are the blocks that the walk has already passed. looked is the number of those that it has read.
	seen   map[netip.Prefix]bool
	looked int
	// unusable are free blocks that have no address for the request.
	unusable []netip.Prefix
	// used are the blocks of other owners that it has read. otherSizes are the blocks of the pool that have another
	// size; once they are listed, the walk starts again without the blocks that they overlap.
	used       *usedBlocks
	otherSizes otherSizes
}

func newWalk(p *plan, w Want, in pool.Pool, limit string) *walk {
	return &walk{
		plan: p, want: w, pool: in, limit: limit, seen: map[netip.Prefix]bool{},
		used: &usedBlocks{plan: p, want: w, malformed: map[netip.Prefix]error{}},
	}
}

// candidates yields the pool's free blocks, then blocks of the node that have no affinity, empty blocks of other nodes,
// and then blocks that blocks of other sizes overlap. It yields the last two only if the node may claim blocks.
func (k *walk) candidates(ctx context.Context) candidates {
	return inTurn(k.listIfOverlapped(ctx), k.allFree(ctx), k.incomplete(), k.further(), k.idleBlocks(ctx), k.replaceable())
}

// listIfOverlapped yields nothing. If a block of the node in the pool overlaps another, it lists the pool's blocks of
// other sizes, so that the empty ones can be taken over.
func (k *walk) listIfOverlapped(ctx context.Context) candidates {
	return func(yield func(candidate, error) bool) {
		if !k.mayClaim() || k.otherSizes.listed {
			return
		}
		for cidr := range k.plan.overlapped {
			if !k.plan.own.owns(cidr) || !k.plan.pools.in(cidr, k.pool) {
				continue
			}
			if err := k.otherSizes.list(ctx, k.plan.backend.store, k.pool); err != nil {
				yield(candidate{}, err)
			}
			return
		}
	}
}

func (k *walk) mayClaim() bool { return k.limit == "" }

// allFree yields the free blocks. It starts again when the blocks of other sizes become known, which it then leaves
// out.
func (k *walk) allFree(ctx context.Context) candidates {
	return func(yield func(candidate, error) bool) {
		for again := true; again; {
			known := k.otherSizes.listed
			for c, err := range k.freeBlocks(ctx) {
				if !yield(c, err) || err != nil {
					return
				}
			}
			again = k.otherSizes.listed != known
		}
	}
}

// freeBlocks walks through the pool and yields the blocks that do not exist. It notes which of the others can be taken
// over or borrowed from. It ends early when the blocks of other sizes become known.
func (k *walk) freeBlocks(ctx context.Context) candidates {
	return func(yield func(candidate, error) bool) {
		known := k.otherSizes.listed
		for batch := range k.batches() {
			if !k.freeOf(ctx, batch, yield) {
				return
			}
			enough := !k.mayClaim() && (k.plan.config.StrictAffinity || len(k.used.lenders) > 0)
			if enough || k.otherSizes.listed != known {
				return
			}
		}
	}
}

// freeOf reads a batch of blocks, and yields those that do not exist. It returns false to end the walk.
func (k *walk) freeOf(ctx context.Context, batch []netip.Prefix, yield func(candidate, error) bool) bool {
	results, err := k.plan.backend.readBlocks(ctx, batch)
	if err != nil {
		yield(candidate{}, err)
		return false
	}
	for i, cidr := range batch {
		if !errors.Is(results[i].err, ErrNotFound) {
			k.used.note(cidr, results[i])
			continue
		}
		if !k.hasRoomIfNew(cidr) {
			k.unusable = append(k.unusable, cidr)
			continue
		}
		if !k.mayClaim() {
			continue
		}
		if !yield(candidate{place: place{want: k.want, cidr: cidr}, step: claimFree}, nil) {
			return false
		}
		if err := k.afterRefusal(ctx, cidr); err != nil {
			yield(candidate{}, err)
			return false
		}
	}
	return true
}

// batches yields the blocks to read, in batches that grow from one to maxBatch blocks.
func (k *walk) batches() iter.Seq[[]netip.Prefix] {
	return func(yield func([]netip.Prefix) bool) {
		if k.looked >= k.plan.maxLook {
			return
		}
		space := k.pool.Space(k.plan.picker.reserved, append(k.pool.Inner(k.plan.pools.pools), k.otherSizes.blocks...))
		var batch []netip.Prefix
		size := 1
		order := k.plan.own.node
		if space.Len() > uint64(k.plan.maxLook) {
			// The walk does not reach the end. Another request looks at other blocks.
			order += " " + k.plan.picker.request.Handle
		}
		for cidr := range space.Walk(order) {
			if k.seen[cidr] {
				continue
			}
			k.seen[cidr] = true
			// The node's own blocks cost no read and do not count as looked at.
			if k.plan.own.owns(cidr) {
				continue
			}
			k.looked++
			if batch = append(batch, cidr); len(batch) < size {
				continue
			}
			if !yield(batch) || k.looked >= k.plan.maxLook {
				return
			}
			batch, size = nil, min(2*size, maxBatch)
		}
		if len(batch) > 0 {
			yield(batch)
		}
	}
}

// incomplete yields blocks of the node that have no affinity. Claiming them again completes their claim.
func (k *walk) incomplete() candidates {
	return func(yield func(candidate, error) bool) {
		for _, cidr := range k.used.incomplete {
			if !yield(candidate{place: place{want: k.want, cidr: cidr}, step: claimFree}, nil) {
				return
			}
		}
	}
}

// afterRefusal is called after a claim of a block failed. If the block overlaps another, afterRefusal lists the pool's
// blocks of other sizes, unless the walk has listed them before.
func (k *walk) afterRefusal(ctx context.Context, cidr netip.Prefix) error {
	if k.plan.own.owns(cidr) || k.plan.overlapped[cidr] == nil || k.otherSizes.listed {
		return nil
	}
	return k.otherSizes.list(ctx, k.plan.backend.store, k.pool)
}

// further yields one candidate if the walk ended before the end of the pool.
func (k *walk) further() candidates {
	return func(yield func(candidate, error) bool) {
		if k.looked >= k.plan.maxLook {
			yield(candidate{place: place{want: k.want}, step: lookFurther}, nil)
		}
	}
}

// idleBlocks yields the empty blocks of other nodes that were noted.
func (k *walk) idleBlocks(ctx context.Context) candidates {
	return func(yield func(candidate, error) bool) {
		if !k.mayClaim() {
			return
		}
		for _, cidr := range k.used.idle {
			if !k.hasRoomIfNew(cidr) {
				continue
			}
			if !yield(candidate{place: place{want: k.want, cidr: cidr}, step: takeOver}, nil) {
				return
			}
			if err := k.afterRefusal(ctx, cidr); err != nil {
				yield(candidate{}, err)
				return
			}
		}
	}
}

// replaceable yields the blocks that blocks of other sizes overlap.
func (k *walk) replaceable() candidates {
	return func(yield func(candidate, error) bool) {
		if !k.mayClaim() {
			return
		}
		for _, cidr := range k.otherSizes.overlapped(k.pool, k.plan.pools.pools, k.hasRoomIfNew) {
			if !yield(candidate{place: place{want: k.want, cidr: cidr}, step: replaceOthers}, nil) {
				return
			}
		}
	}
}

// hasRoomIfNew reports whether a block would have an address for the want if the node had just created it. A block that
// is reserved completely has none.
func (k *walk) hasRoomIfNew(cidr netip.Prefix) bool {
	created := block.New(cidr, hostAffinity(k.plan.own.node), k.plan.backend.now())
	return k.plan.picker.room(place{want: k.want, cidr: cidr, row: Row[block.Block]{Value: created}}) == nil
}
