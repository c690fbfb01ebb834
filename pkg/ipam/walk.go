// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"

	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/ipam/pool"
)

const (
	// maxLook bounds how many blocks of a pool an assignment reads, so that a large pool that is full costs a bounded
	// time.
	maxLook = 2048
	// maxKept bounds how many blocks of other nodes a walk keeps to take over, or to borrow from.
	maxKept = 16
)

// walk is a search through one pool for blocks that the node does not own.
type walk struct {
	plan *plan
	want Want
	pool pool.Pool
	// limit says why the node may claim no blocks, or is empty.
	limit string
	// idle are empty blocks of other nodes; lenders are blocks of other nodes that have room.
	idle    []netip.Prefix
	lenders []place
	// others are the blocks of the pool that have another size. They are listed after the first overlap with one;
	// then the walk starts again without the blocks that they overlap. seen are the blocks that it has already
	// passed.
	others     []netip.Prefix
	othersRead bool
	seen       map[netip.Prefix]bool
	// malformed has the errors of malformed blocks.
	malformed map[netip.Prefix]error
	// looked counts the blocks that were read, free the addresses in those that cannot be claimed.
	looked, free int
}

func newWalk(p *plan, w Want, in pool.Pool, limit string) *walk {
	return &walk{
		plan: p, want: w, pool: in, limit: limit, seen: map[netip.Prefix]bool{}, malformed: map[netip.Prefix]error{},
	}
}

// candidates yields the pool's free blocks, then empty blocks of other nodes, and then blocks that blocks of other sizes
// overlap.
func (k *walk) candidates(ctx context.Context) candidates {
	return inTurn(k.allFree(ctx), k.further(), k.idleBlocks(ctx), k.replaceable())
}

// inTurn yields the candidates of each source, one source after the other. It ends with the first error.
func inTurn(sources ...candidates) candidates {
	return func(yield func(candidate, error) bool) {
		for _, source := range sources {
			for c, err := range source {
				if !yield(c, err) || err != nil {
					return
				}
			}
		}
	}
}

// allFree yields the free blocks. It starts again when the blocks of other sizes become known, which it then leaves out.
func (k *walk) allFree(ctx context.Context) candidates {
	return func(yield func(candidate, error) bool) {
		for again := true; again; {
			known := k.othersRead
			for c, err := range k.freeBlocks(ctx) {
				if !yield(c, err) || err != nil {
					return
				}
			}
			again = k.othersRead != known
		}
	}
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
		for _, cidr := range k.idle {
			if !yield(candidate{place: place{want: k.want, cidr: cidr}, step: takeOver}, nil) {
				return
			}
			if err := k.refused(ctx, cidr); err != nil {
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
		for _, cidr := range k.overlapped() {
			if !yield(candidate{place: place{want: k.want, cidr: cidr}, step: replaceOthers}, nil) {
				return
			}
		}
	}
}

// overlapped returns blocks of the pool that blocks of other sizes overlap, one for each of these, maxKept at most.
func (k *walk) overlapped() (cidrs []netip.Prefix) {
	inner := k.pool.Inner(k.plan.pools.pools)
	for _, other := range k.others {
		cidr := k.pool.Block(other.Addr())
		if !k.pool.CIDR.Contains(other.Addr()) {
			cidr = k.pool.Block(k.pool.CIDR.Addr())
		}
		fresh := Row[block.Block]{Value: block.New(cidr, hostAffinity(k.plan.own.node), k.plan.backend.now())}
		usable := k.plan.picker.room(place{want: k.want, cidr: cidr, row: fresh}) == nil
		if !usable || slices.Contains(cidrs, cidr) || slices.ContainsFunc(inner, cidr.Overlaps) {
			continue
		}
		if cidrs = append(cidrs, cidr); len(cidrs) == maxKept {
			break
		}
	}
	return cidrs
}

func (k *walk) mayClaim() bool { return k.limit == "" }

// freeBlocks walks through the pool and yields the blocks that do not exist. It notes which of the others can be taken
// over or borrowed from. It ends early when the blocks of other sizes become known.
func (k *walk) freeBlocks(ctx context.Context) candidates {
	return func(yield func(candidate, error) bool) {
		known := k.othersRead
		for batch := range k.batches() {
			if !k.freeOf(ctx, batch, yield) {
				return
			}
			enough := !k.mayClaim() && (k.plan.config.StrictAffinity || len(k.lenders) > 0)
			if enough || k.othersRead != known {
				return
			}
		}
	}
}

// freeOf reads a batch of blocks, and yields those that do not exist. It returns false to end the walk.
func (k *walk) freeOf(ctx context.Context, batch []netip.Prefix, yield func(candidate, error) bool) bool {
	results, err := k.read(ctx, batch)
	if err != nil {
		yield(candidate{}, err)
		return false
	}
	for i, cidr := range batch {
		if !errors.Is(results[i].err, ErrNotFound) {
			k.note(cidr, results[i])
			continue
		}
		if !k.mayClaim() {
			continue
		}
		if !yield(candidate{place: place{want: k.want, cidr: cidr}, step: claimFree}, nil) {
			return false
		}
		if err := k.refused(ctx, cidr); err != nil {
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
		space := k.pool.Space(k.plan.picker.reserved, append(k.pool.Inner(k.plan.pools.pools), k.others...))
		var batch []netip.Prefix
		size := 1
		for cidr := range space.Walk(k.plan.own.node) {
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

// read reads blocks at the same time. The error of a block that does not exist or is malformed is in its result.
func (k *walk) read(ctx context.Context, batch []netip.Prefix) ([]readResult, error) {
	results := make([]readResult, len(batch))
	g, inGroup := k.plan.backend.group(ctx)
	for i, cidr := range batch {
		g.Go(func() error {
			results[i].row, results[i].err = get(inGroup, k.plan.backend.store.Blocks(), cidr)
			return ignore(results[i].err, ErrNotFound, ErrMalformed)
		})
	}
	return results, g.Wait()
}

// note notes whether a block of another owner can be taken over or borrowed from.
func (k *walk) note(cidr netip.Prefix, read readResult) {
	b := read.row.Value
	if read.err != nil {
		// The addresses of a malformed block may be in use.
		k.malformed[cidr] = read.err
		return
	}
	otherOwner := b.Affinity != "" && !strings.HasPrefix(b.Affinity, hostPrefix)
	if otherOwner || b.Validate() != nil {
		return
	}
	k.free += k.plan.unavailable.add(k.plan.picker.thawed(b), k.plan.picker.reserved)
	if k.plan.backend.idle(b) && len(k.idle) < maxKept {
		k.idle = append(k.idle, cidr)
	}
	at := place{want: k.want, cidr: cidr, row: read.row}
	if len(k.lenders) < maxKept && k.plan.picker.room(at) == nil {
		k.lenders = append(k.lenders, at)
	}
}

// refused is called after a block could not be claimed. If the block overlaps another, refused lists the pool's
// blocks of other sizes. In a large pool that lists all blocks; it happens once in a walk, and only if blocks of
// several sizes share a pool.
func (k *walk) refused(ctx context.Context, cidr netip.Prefix) error {
	if k.plan.own.owns(cidr) {
		return nil
	}
	if k.plan.overlapped[cidr] == nil || k.othersRead {
		return nil
	}
	cidrs, err := k.plan.backend.store.BlocksOverlapping(ctx, k.pool.CIDR)
	if err != nil {
		return fmt.Errorf("look for blocks that overlap pool %s: %w", k.pool.Name, err)
	}
	k.othersRead = true
	k.others = slices.DeleteFunc(cidrs, func(cidr netip.Prefix) bool { return cidr.Bits() == k.pool.BlockSize })
	return nil
}
