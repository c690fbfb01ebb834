package ipam

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"

	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/ipam/pool"
)

// search is one request on its way to its addresses.
type search struct {
	a       *Allocator
	view    View
	request Request
	// dry has the search write nothing: it only finds out whether there is room.
	dry bool
	// fresh says that view.Affinities was read anew, and is no longer the cached answer.
	fresh bool
	// wanted are the blocks that the request has found so far: empty or not, they are not given back.
	wanted map[netip.Prefix]bool
	// full are blocks of the node that were seen to have no room.
	full map[netip.Prefix]bool
	// handle is the request's handle as it was last written, and counted what it counts on behalf of the request.
	handle  Row[Handle]
	counted map[netip.Prefix]int
	// reserved are the addresses that are only given when they are asked for.
	reserved pool.Ranges
	// overlapped are the blocks that could not be used because they overlap others; collisions are those of the current
	// pass.
	overlapped map[netip.Prefix]*OverlapError
	collisions []*OverlapError
	// leftovers are addresses that nobody holds in blocks that had no room.
	leftovers leftovers
}

func newSearch(a *Allocator, view View, r Request) *search {
	return &search{
		a: a, view: view, request: r, reserved: pool.NewRanges(view.Reserved), counted: map[netip.Prefix]int{},
		wanted: map[netip.Prefix]bool{}, full: map[netip.Prefix]bool{}, overlapped: map[netip.Prefix]*OverlapError{},
	}
}

// errFull: a block, or all that was looked at, has nothing for the want.
var errFull = errors.New("block is full")

// find returns a block with room for a want: one of the node's own, a newly claimed one, or, where that is allowed,
// another's to borrow from.
func (s *search) find(ctx context.Context, w Want) (place, error) {
	if w.Addr.IsValid() {
		return s.findAddr(ctx, w)
	}
	pools, rejected, err := s.pools(w)
	if err != nil {
		return place{}, err
	}
	none := &NoAddressError{IPv6: w.IPv6}
	for _, r := range rejected {
		none.Reasons = append(none.Reasons, r.String())
	}
	if len(pools) == 0 {
		return place{}, none
	}
	s.recollect()
	if p, ok := s.knownIn(pools, w); ok {
		return p, nil
	}
	if p, err := s.own(ctx, w, s.ownIn(pools)); !errors.Is(err, errFull) {
		return p, err
	}
	// The cached answer may have lacked a block that the node claimed a moment ago.
	if err := s.refresh(ctx); err != nil {
		return place{}, err
	}
	if p, err := s.own(ctx, w, s.ownIn(pools)); !errors.Is(err, errFull) {
		return p, err
	}
	p, reasons, err := s.grow(ctx, w, pools)
	if errors.Is(err, errFull) {
		none.Reasons = append(none.Reasons, reasons...)
		for _, cidr := range slices.SortedFunc(maps.Keys(s.overlapped), netip.Prefix.Compare) {
			none.Reasons = append(none.Reasons, s.overlapped[cidr].Error())
		}
		none.Reasons = append(none.Reasons, s.leftovers.reasons(s.view.Config.Cooldown)...)
		return place{}, none
	}
	return p, err
}

// pools returns those that may serve a want, and why others may not.
func (s *search) pools(w Want) ([]pool.Pool, []pool.Rejection, error) {
	return pool.Choose(s.view.Pools, s.poolQuery(w))
}

// ownIn returns the node's claims in the pools, by the order of these, but for blocks that were seen to be full.
// Claims on blocks of another size than the pool's are returned by misfits.
func (s *search) ownIn(pools []pool.Pool) (rows []AffinityRow) {
	return s.claimsIn(pools, func(_ pool.Pool, cidr netip.Prefix) bool { return s.fits(cidr) })
}

// misfits returns the node's claims on blocks that have another size than the pool that they lie in has now.
func (s *search) misfits(pools []pool.Pool) (rows []AffinityRow) {
	return s.claimsIn(pools, func(_ pool.Pool, cidr netip.Prefix) bool { return !s.fits(cidr) })
}

func (s *search) claimsIn(pools []pool.Pool, which func(p pool.Pool, cidr netip.Prefix) bool) (rows []AffinityRow) {
	for _, p := range pools {
		for _, row := range s.view.Affinities {
			cidr := row.Key.CIDR
			// Of nested pools, the innermost one is a block's.
			if in, ok := pool.Containing(s.view.Pools, cidr.Addr()); ok && in.CIDR == p.CIDR && which(p, cidr) && !s.full[cidr] {
				rows = append(rows, row)
			}
		}
	}
	return rows
}

// own looks for room in blocks that the node owns. It returns errFull when there is none.
func (s *search) own(ctx context.Context, w Want, rows []AffinityRow) (place, error) {
	// The youngest mostly has room; of a node that has many and needs another, all are full.
	for size := 1; len(rows) > 0; size = maxBatch {
		batch := rows[:min(size, len(rows))]
		rows = rows[len(batch):]
		found, err := s.tryBatch(ctx, w, batch)
		if !errors.Is(err, errFull) {
			return found, err
		}
	}
	return place{}, errFull
}

// tryBatch reads the blocks of affinities side by side, and returns the first in their order that has room, or errFull.
func (s *search) tryBatch(ctx context.Context, w Want, rows []AffinityRow) (place, error) {
	read, failed := make([]Row[block.Block], len(rows)), make([]error, len(rows))
	g, inGroup := s.a.group(ctx)
	for i, row := range rows {
		known, ok := s.view.Blocks[row.Key.CIDR]
		// That it has no room is only believed of the store.
		ok = ok && s.room(place{want: w, cidr: row.Key.CIDR, row: known}) == nil
		// Whoever comes back to it wants to know what has become of it.
		delete(s.view.Blocks, row.Key.CIDR)
		g.Go(func() (err error) {
			if !ok {
				known, err = get(inGroup, s.a.Store.Blocks(), row.Key.CIDR)
			}
			read[i], failed[i] = s.agreed(row, known, err)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return place{}, err
	}
	for i, row := range rows {
		found, err := place{want: w, cidr: row.Key.CIDR, row: read[i]}, failed[i]
		switch {
		case err == nil:
			if err = s.room(found); err == nil {
				err = s.collision(s.admit(ctx, found))
			} else {
				s.leftovers.add(found.row.Value, s.reserved)
			}
			s.full[row.Key.CIDR] = errors.Is(err, errFull)
		case errors.Is(err, errUnhealed):
			found, err = s.tryOwn(ctx, w, row)
		}
		if !errors.Is(err, errFull) {
			return found, err
		}
	}
	return place{}, errFull
}

// errUnhealed: an affinity and its block do not agree, or may not.
var errUnhealed = errors.New("affinity is not confirmed")

// agreed returns the block of an affinity, as it was read, if the affinity is confirmed and agrees with it, else
// errUnhealed. Of a block that is only remembered, it returns errFull when it is no longer the node's, and
// errUnhealed when it is empty: somebody may be about to take it away, and that is seen at the affinity.
func (s *search) agreed(row AffinityRow, b Row[block.Block], err error) (Row[block.Block], error) {
	remembered := s.view.Remembered && !s.fresh
	gone := errors.Is(err, ErrNotFound) || err == nil && b.Value.Affinity != hostAffinity(row.Key.Node)
	switch {
	case !remembered && (row.Rev == nil || row.Deleted || row.Value.State != Confirmed):
		return b, errUnhealed
	case gone && remembered:
		return b, errFull
	case gone, err == nil && remembered && b.Value.Empty():
		return b, errUnhealed
	}
	return b, err
}

// tryOwn returns the block of an affinity, healed where a crash left it half claimed, or errFull when it has no room
// or turns out not to be the node's.
func (s *search) tryOwn(ctx context.Context, w Want, row AffinityRow) (place, error) {
	if s.dry {
		return s.peek(ctx, w, row)
	}
	b, err := s.a.heal(ctx, row)
	if errors.Is(err, errNotOurs) {
		_ = s.collision(err) // notes the overlap; the block is not the node's either way
		s.view.Affinities = slices.DeleteFunc(slices.Clone(s.view.Affinities), func(r AffinityRow) bool {
			return r.Key == row.Key
		})
		return place{}, errFull
	}
	if err != nil {
		return place{}, err
	}
	p := place{want: w, cidr: row.Key.CIDR, row: b.row, admitted: b.checked}
	if err := s.room(p); err != nil {
		return p, err
	}
	return p, s.collision(s.admit(ctx, p))
}

// room returns nil when the want can be had at the place, trying it on a copy.
func (s *search) room(p place) error {
	b := p.row.Value.Clone()
	b.Thaw(s.a.Now(), s.view.Config.Cooldown)
	_, err := s.pick(&b, p.want)
	return err
}

// refresh replaces the cached affinities by the newest ones, once a search.
func (s *search) refresh(ctx context.Context) error {
	if s.fresh {
		return nil
	}
	rows, err := s.a.Store.AffinitiesOf(ctx, s.request.Node, false)
	if err != nil {
		return err
	}
	newestFirst(rows)
	s.view.Affinities, s.fresh = rows, true
	return nil
}

// blocksOf counts the node's blocks of a family.
func (s *search) blocksOf(ipv6 bool) int {
	n := 0
	for _, row := range s.view.Affinities {
		if row.Key.CIDR.Addr().Is6() == ipv6 {
			n++
		}
	}
	return n
}

func (s *search) owns(cidr netip.Prefix) bool {
	return slices.ContainsFunc(s.view.Affinities, func(r AffinityRow) bool { return r.Key.CIDR == cidr })
}

// poolQuery is what a want means to the choice of pools.
func (s *search) poolQuery(w Want) pool.Query {
	return pool.Query{
		IPv6: w.IPv6, Use: pool.Workload, Requested: w.Pools,
		NodeLabels: s.view.NodeLabels, NamespaceLabels: s.request.NamespaceLabels,
	}
}

func orNobody(affinity string) string {
	if affinity == "" {
		return "nobody"
	}
	return affinity
}

const hostPrefix = "host:"

func hostAffinity(node string) string { return hostPrefix + node }
