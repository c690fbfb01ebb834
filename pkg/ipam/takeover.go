package ipam

import (
	"context"
	"errors"
	"net/netip"
	"strings"

	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/ipam/pool"
)

// takeOver makes another node's block the node's own, provided that it is still empty and was not claimed just now. It
// returns errNotOurs when that is not so. The owner's claim is withdrawn before the block goes, as its own release
// would, so that whoever meets the half of it can finish it.
func (a *Allocator) takeOver(ctx context.Context, node string, cidr netip.Prefix) (claimed, error) {
	row, err := get(ctx, a.Store.Blocks(), cidr)
	switch {
	case errors.Is(err, ErrNotFound):
		return a.claim(ctx, node, cidr)
	case err != nil:
		return claimed{}, err
	}
	owner, ok := strings.CutPrefix(row.Value.Affinity, hostPrefix)
	if !ok || !row.Value.Empty() || a.Now().Sub(row.Value.ClaimTime) <= idleAfter {
		return claimed{}, errNotOurs
	}
	if err := a.giveBack(ctx, AffinityKey{owner, cidr}, row); err != nil {
		return claimed{}, err
	}
	return a.claim(ctx, node, cidr)
}

// giveBack ends a claim on a block that was empty when row was read: the claim is marked, the block deleted, the claim
// deleted. When somebody wrote to the block meanwhile, the claim stands again and the answer is errNotOurs.
func (a *Allocator) giveBack(ctx context.Context, key AffinityKey, row Row[block.Block]) error {
	affinity, err := a.mark(ctx, key)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	claimed := err == nil
	err = remove(ctx, a.Store.Blocks(), key.CIDR, row)
	switch {
	case errors.Is(err, ErrConflict) && claimed:
		return errors.Join(errNotOurs, a.unmark(ctx, key, affinity))
	case errors.Is(err, ErrConflict):
		return errNotOurs
	case err != nil || !claimed:
		return err
	}
	return ignore(remove(ctx, a.Store.Affinities(), key, affinity), ErrConflict)
}

// mark sets a claim to pendingDeletion. It returns errNotOurs when another process changed the claim concurrently. If
// that process marked the claim as well, or it was this process in an earlier attempt, the mark stands.
func (a *Allocator) mark(ctx context.Context, key AffinityKey) (Row[Affinity], error) {
	affinity, err := get(ctx, a.Store.Affinities(), key)
	if err != nil {
		return affinity, err
	}
	affinity.Value.State = PendingDeletion
	affinity, err = a.Store.Affinities().Update(ctx, key, affinity)
	if !errors.Is(missing(err), ErrConflict) {
		return affinity, err
	}
	affinity, err = get(ctx, a.Store.Affinities(), key)
	switch {
	case ignore(err, ErrNotFound) != nil:
		return affinity, err
	case err != nil || affinity.Value.State != PendingDeletion:
		return affinity, errNotOurs
	}
	return affinity, nil
}

// unmark restores a claim whose block turned out to be in use, unless the block is no longer the node's.
func (a *Allocator) unmark(ctx context.Context, key AffinityKey, affinity Row[Affinity]) error {
	row, err := get(ctx, a.Store.Blocks(), key.CIDR)
	if err != nil || row.Value.Affinity != hostAffinity(key.Node) {
		return ignore(err, ErrNotFound)
	}
	_, err = a.heal(ctx, AffinityRow{key, affinity})
	return ignore(err, errNotOurs)
}

// releaseUnselected gives back the node's blocks that are empty and lie in no pool that selects the node any more. It
// is done on the way to a new block, so that a change of pools does not leave the old ones' blocks behind.
func (s *search) releaseUnselected(ctx context.Context) error {
	if s.dry {
		return nil
	}
	return s.giveBackWhere(ctx, func(cidr netip.Prefix) bool { return !s.selects(cidr) })
}

// giveBackWhere gives back the node's empty blocks of which unwanted holds.
func (s *search) giveBackWhere(ctx context.Context, unwanted func(cidr netip.Prefix) bool) error {
	var kept []AffinityRow
	for _, row := range s.view.Affinities {
		if unwanted(row.Key.CIDR) && !s.wanted[row.Key.CIDR] {
			gone, err := s.a.GiveBackIfEmpty(ctx, row.Key.Node, row.Key.CIDR)
			if err != nil {
				return err
			}
			if gone {
				continue
			}
		}
		kept = append(kept, row)
	}
	s.view.Affinities = kept
	return nil
}

// GiveBackUnselected ends claims on empty blocks that lie in no pool which selects their node any more. It reads the
// pools, and the nodes where a pool looks at their labels: nothing when there is no claim to look at.
func (a *Allocator) GiveBackUnselected(ctx context.Context, c Cluster, claims []AffinityKey) error {
	if len(claims) == 0 {
		return nil
	}
	pools, err := c.Pools(ctx)
	if err != nil {
		return err
	}
	for _, claim := range claims {
		s := search{view: View{Pools: pools}}
		if pool.NeedsNodeLabels(pools) {
			// A node that is gone has no labels, and is selected by few.
			if s.view.NodeLabels, err = c.NodeLabels(ctx, claim.Node); ignore(err, ErrNotFound) != nil {
				return err
			}
		}
		if s.selects(claim.CIDR) {
			continue
		}
		if _, err := a.GiveBackIfEmpty(ctx, claim.Node, claim.CIDR); err != nil {
			return err
		}
	}
	return nil
}

// selects reports whether the pool that a block lies in exists, selects the node, and has blocks of that size.
func (s *search) selects(cidr netip.Prefix) bool {
	p, ok := pool.Containing(s.view.Pools, cidr.Addr())
	return ok && p.Selects(s.view.NodeLabels) && p.BlockSize == cidr.Bits()
}

// GiveBackIfEmpty ends a node's claim on a block that nobody uses, and reports whether it did.
func (a *Allocator) GiveBackIfEmpty(ctx context.Context, node string, cidr netip.Prefix) (bool, error) {
	row, err := get(ctx, a.Store.Blocks(), cidr)
	switch {
	case errors.Is(err, ErrNotFound):
		return a.dropClaim(ctx, AffinityKey{node, cidr})
	case err != nil:
		return false, err
	case row.Value.Affinity != hostAffinity(node) || !row.Value.Empty():
		return false, nil
	}
	err = a.giveBack(ctx, AffinityKey{node, cidr}, row)
	if errors.Is(err, errNotOurs) {
		return false, nil
	}
	return err == nil, err
}

// dropClaim deletes a claim on a block that is not there, as a release that was cut off leaves it.
func (a *Allocator) dropClaim(ctx context.Context, key AffinityKey) (bool, error) {
	row, err := get(ctx, a.Store.Affinities(), key)
	if err == nil {
		err = remove(ctx, a.Store.Affinities(), key, row)
	}
	return true, ignore(err, ErrNotFound, ErrConflict)
}
