package ipam

import (
	"context"
	"errors"
	"slices"

	"calico-cni/pkg/ipam/pool"
)

// Room returns nil when a request that names no address could be given its addresses at this moment, and else the
// error that Assign would return. It reads, and writes nothing but the end of a deletion that another writer has begun. It
// looks for blocks that overlap the one that it found, as Assign does, which takes one request. Of a pool it looks at fewer blocks than Assign would,
// and takes it to have room when it has not seen them all. Pools that select by namespace, or have to be named, count
// as if they did not.
func (a *Allocator) Room(ctx context.Context, view View, r Request) error {
	// A pool that serves only some namespaces, or those who name it, has room for somebody.
	view.Pools = slices.Clone(view.Pools)
	for i := range view.Pools {
		view.Pools[i].Namespace, view.Pools[i].Manual = nil, false
	}
	s := newSearch(a, view, r)
	s.dry = true
	for _, w := range r.Wants {
		if _, err := s.find(ctx, Want{IPv6: w.IPv6, Pools: w.Pools}); err != nil {
			return err
		}
	}
	return nil
}

// dryProbes is how many blocks of a pool Room looks at.
const dryProbes = 256

// probes bounds how many blocks of a pool the search looks at.
func (s *search) probes() int {
	if s.dry {
		return dryProbes
	}
	return maxProbes
}

// peek returns the block of an affinity as it is, healed or not; errFull when it is another's or has no room. A claim
// whose block is not there yet has room, unless other blocks overlap it.
func (s *search) peek(ctx context.Context, w Want, row AffinityRow) (place, error) {
	found := place{want: w, cidr: row.Key.CIDR}
	b, err := get(ctx, s.a.Store.Blocks(), row.Key.CIDR)
	switch {
	case errors.Is(err, ErrNotFound):
		return found, s.collision(s.a.overlapping(ctx, row.Key.CIDR))
	case err != nil:
		return found, err
	case b.Value.Affinity != hostAffinity(row.Key.Node):
		return found, errFull
	}
	found.row = b
	if err := s.room(found); err != nil {
		return found, err
	}
	return found, s.collision(s.admit(ctx, found))
}

// couldMakeWay reports whether a search at the cap would give back blocks that the want cannot use.
func (s *search) couldMakeWay(w Want, pools []pool.Pool) bool {
	return slices.ContainsFunc(s.view.Affinities, func(row AffinityRow) bool {
		_, usable := pool.Containing(pools, row.Key.CIDR.Addr())
		return row.Key.CIDR.Addr().Is6() == w.IPv6 && !usable
	})
}
