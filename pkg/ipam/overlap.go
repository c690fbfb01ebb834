package ipam

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/ipam/pool"
)

// OverlapError says that a block shares addresses with other blocks. No address is allocated from it.
type OverlapError struct {
	Block netip.Prefix
	// Others are the blocks that it overlaps, sorted; Owner is the affinity of the first.
	Others []netip.Prefix
	Owner  string
}

// Error names the blocks and the remedy.
func (e *OverlapError) Error() string {
	others := make([]string, len(e.Others))
	for i, o := range e.Others {
		others[i] = o.String()
	}
	const most = 3
	if len(others) > most {
		others = append(others[:most], fmt.Sprintf("%d more", len(e.Others)-most))
	}
	return fmt.Sprintf("block %s is not used, as it overlaps block %s of %s "+
		"(delete the pods of blocks whose size is not the blockSize of their pool; see docs/blocksize.md)",
		e.Block, strings.Join(others, " and "), orNobody(e.Owner))
}

// Unwrap returns errNotOurs: a block that overlaps another counts as taken.
func (e *OverlapError) Unwrap() error { return errNotOurs }

// overlapping returns an OverlapError if other blocks overlap a block that exists, and nil if there are none.
//
// It is the second half of a protocol that keeps addresses unique although the store compares single rows only: every
// process creates its block, then looks for others, then uses its block. Of two blocks that overlap, the one that was
// created later is never used, because its creator sees the earlier one, as long as that exists.
func (a *Allocator) overlapping(ctx context.Context, cidr netip.Prefix) error {
	return a.sharing(ctx, cidr, cidr)
}

// sharing is overlapping for a part of a block: it looks for other blocks that have addresses of the part. The block
// must be known to exist before the call.
func (a *Allocator) sharing(ctx context.Context, cidr, part netip.Prefix) error {
	others, err := a.Store.BlocksOverlapping(ctx, part)
	if err != nil {
		return fmt.Errorf("look for blocks that overlap %s: %w", cidr, err)
	}
	found := &OverlapError{Block: cidr}
	for _, other := range others {
		if other == cidr {
			continue
		}
		// Reading a block whose deletion has begun finishes the deletion. A malformed block counts: it may hold addresses.
		row, err := get(ctx, a.Store.Blocks(), other)
		switch {
		case errors.Is(err, ErrNotFound):
			continue
		case err != nil && !errors.Is(err, ErrMalformed):
			return err
		case len(found.Others) == 0:
			found.Owner = row.Value.Affinity
		}
		if found.Others = append(found.Others, other); len(found.Others) == maxBatch {
			break
		}
	}
	if len(found.Others) == 0 {
		return nil
	}
	return found
}

// takeBack undoes a claim whose block overlaps another and is empty. If another process writes to the block or the
// claim meanwhile, the claim stays marked, and the next use of it settles it.
func (a *Allocator) takeBack(ctx context.Context, key AffinityKey, row Row[block.Block]) error {
	affinity, err := a.mark(ctx, key)
	if ignore(err, ErrNotFound) != nil {
		return ignore(err, errNotOurs)
	}
	marked := err == nil
	if err := remove(ctx, a.Store.Blocks(), key.CIDR, row); err != nil {
		return ignore(err, ErrConflict)
	}
	a.memory().Forget(key.CIDR)
	if !marked {
		return nil
	}
	return ignore(remove(ctx, a.Store.Affinities(), key, affinity), ErrConflict)
}

// admit returns nil when a block may be allocated from, and else an OverlapError. A block that the node remembers
// passed this check before.
func (s *search) admit(ctx context.Context, p place) error {
	if p.admitted || s.a.passed(p.row) && s.fits(p.cidr) {
		return nil
	}
	return s.a.overlapping(ctx, p.cidr)
}

// passed reports whether the node remembers that it allocated from a block, or claimed it, which it does after the
// check.
func (a *Allocator) passed(row Row[block.Block]) bool {
	cidr := row.Value.CIDR
	if known, ok := a.memory().Recall(cidr); ok {
		return known.UID != "" && known.UID == row.UID && known.Value.Affinity == row.Value.Affinity
	}
	return false
}

// fits reports whether a block has the size that its pool has now. Where it has not, other writers may claim blocks
// that overlap it at any time, so that what is remembered of it does not count.
func (s *search) fits(cidr netip.Prefix) bool {
	p, ok := pool.Containing(s.view.Pools, cidr.Addr())
	return ok && p.BlockSize == cidr.Bits() && !slices.ContainsFunc(p.Inner(s.view.Pools), cidr.Overlaps)
}

// collision notes that a block could not be used because it overlaps others, and returns errFull. Other errors it
// returns as they are.
func (s *search) collision(err error) error {
	var overlap *OverlapError
	if !errors.As(err, &overlap) {
		return err
	}
	s.full[overlap.Block] = true
	s.collisions = append(s.collisions, overlap)
	s.overlapped[overlap.Block] = overlap
	return errFull
}

// maxPasses bounds how often a search is repeated after claims collided with claims of other processes.
const maxPasses = 5

// collisionsGone reports whether a search that failed is worth another pass: a block that it collided with is gone.
// Two processes that claim overlapping blocks at once may both give up; the wait before the next pass is random, so
// that one of them is first then.
func (s *search) collisionsGone(ctx context.Context, pass int) (bool, error) {
	collisions := s.collisions
	s.collisions = nil
	if len(collisions) == 0 || pass >= maxPasses || s.dry {
		return false, nil
	}
	if err := s.a.wait(ctx, pass+1); err != nil {
		return false, err
	}
	for _, c := range collisions[:min(len(collisions), maxBatch)] {
		err := s.a.overlapping(ctx, c.Block)
		if err == nil {
			delete(s.full, c.Block)
			delete(s.overlapped, c.Block)
			return true, nil
		}
		if !errors.Is(err, errNotOurs) {
			return false, err
		}
	}
	return false, nil
}
