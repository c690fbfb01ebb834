package ipam

import (
	"context"
	"errors"
	"fmt"
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
	// fresh says that view.Affinities was read anew, and is no longer the cached answer.
	fresh bool
	// counted is what the request's handle counts on behalf of the request.
	counted map[netip.Prefix]int
}

// find returns a block with room for a want: one of the node's own, else a newly claimed one.
func (s *search) find(ctx context.Context, w Want) (place, error) {
	if w.Addr.IsValid() {
		return s.findAddr(ctx, w)
	}
	pools, rejected, err := pool.Choose(s.view.Pools, s.poolQuery(w))
	if err != nil {
		return place{}, err
	}
	var reasons []string
	for _, r := range rejected {
		reasons = append(reasons, r.String())
	}
	if len(pools) == 0 {
		return place{}, &NoAddressError{IPv6: w.IPv6, Reasons: reasons}
	}
	if p, err := s.own(ctx, w, pools); !errors.Is(err, errFull) {
		return p, err
	}
	p, full, err := s.claimAny(ctx, w, pools)
	if !errors.Is(err, errFull) {
		return p, err
	}
	return place{}, &NoAddressError{IPv6: w.IPv6, Reasons: append(reasons, full...)}
}

// own looks for room in the blocks that the node owns in the pools, by the order of the pools. It returns errFull when there is none.
func (s *search) own(ctx context.Context, w Want, pools []pool.Pool) (place, error) {
	for _, p := range pools {
		for _, row := range s.view.Affinities {
			if !p.CIDR.Contains(row.Key.CIDR.Addr()) {
				continue
			}
			found, err := s.tryOwn(ctx, w, row)
			if !errors.Is(err, errFull) {
				return found, err
			}
		}
	}
	return place{}, errFull
}

// tryOwn returns the block of an affinity, healed where a crash left it half claimed, or errFull when it has no room
// or turns out not to be the node's.
func (s *search) tryOwn(ctx context.Context, w Want, row AffinityRow) (place, error) {
	b, err := s.a.heal(ctx, row)
	if errors.Is(err, errNotOurs) {
		return place{}, errFull
	}
	if err != nil {
		return place{}, err
	}
	p := place{want: w, cidr: row.Key.CIDR, row: b}
	return p, s.room(p)
}

// room returns nil when the want can be had at the place, trying it on a copy.
func (s *search) room(p place) error {
	b := p.row.Value.Clone()
	b.Thaw(s.a.Now(), s.view.Config.Cooldown)
	_, err := s.pick(&b, p.want)
	return err
}

// claimAny claims a new block in the first pool that has one. When none has, it returns errFull and says of each pool why.
func (s *search) claimAny(ctx context.Context, w Want, pools []pool.Pool) (p place, reasons []string, err error) {
	if err := s.refresh(ctx); err != nil {
		return place{}, nil, err
	}
	// The cached answer may have lacked a block that the node claimed a moment ago.
	if p, err := s.own(ctx, w, pools); !errors.Is(err, errFull) {
		return p, nil, err
	}
	config := s.view.Config
	mine := s.blocksOf(w.IPv6)
	for _, candidate := range pools {
		switch {
		case !config.AutoAllocateBlocks:
			reasons = append(reasons, candidate.Name+": the node's blocks are full, and IPAMConfig.autoAllocateBlocks is off")
			continue
		case mine >= config.MaxBlocksPerHost:
			reasons = append(reasons, fmt.Sprintf("%s: the node's %d blocks are full, and it may have no more (IPAMConfig.maxBlocksPerHost is %d)",
				candidate.Name, mine, config.MaxBlocksPerHost))
			continue
		}
		p, reason, err := s.claimIn(ctx, w, candidate)
		if !errors.Is(err, errFull) {
			return p, nil, err
		}
		reasons = append(reasons, candidate.Name+": "+reason)
	}
	return place{}, reasons, errFull
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

func (s *search) blocksOf(ipv6 bool) int {
	n := 0
	for _, row := range s.view.Affinities {
		if row.Key.CIDR.Addr().Is6() == ipv6 {
			n++
		}
	}
	return n
}

// maxProbes bounds how many blocks of one pool a search looks at for a free one.
const maxProbes = 2048

// claimIn walks a pool for a block that nobody owns, and claims it. It returns errFull, and why, when it finds none.
func (s *search) claimIn(ctx context.Context, w Want, p pool.Pool) (found place, reason string, err error) {
	probes, taken, reserved := 0, 0, 0
	for cidr := range p.Walk(s.request.Node) {
		if probes++; probes > maxProbes {
			return place{}, fmt.Sprintf("no free block among the %d looked at", maxProbes), errFull
		}
		switch {
		case s.owns(cidr):
			taken++
			continue
		case s.setAside(w, cidr):
			reserved++
			continue
		}
		row, err := s.a.claim(ctx, s.request.Node, cidr)
		switch {
		case errors.Is(err, errNotOurs):
			taken++
			continue
		case err != nil:
			return place{}, "", err
		}
		s.view.Affinities = append(s.view.Affinities, AffinityRow{
			Key: AffinityKey{s.request.Node, cidr}, Row: Row[Affinity]{Value: Affinity{State: Confirmed}},
		})
		found = place{want: w, cidr: cidr, row: row}
		if err := s.room(found); !errors.Is(err, errFull) {
			return found, "", err
		}
	}
	return place{}, fmt.Sprintf("all %d blocks of %s are in use (%d taken, %d reserved)", p.Blocks(), p.CIDR, taken, reserved), errFull
}

// setAside reports whether reservations leave nothing of a block for a want.
func (s *search) setAside(w Want, cidr netip.Prefix) bool {
	if len(s.view.Reserved) == 0 {
		return false
	}
	empty := block.New(cidr, "", s.a.Now())
	return s.room(place{want: w, cidr: cidr, row: Row[block.Block]{Value: empty}}) != nil
}

func (s *search) owns(cidr netip.Prefix) bool {
	return slices.ContainsFunc(s.view.Affinities, func(r AffinityRow) bool { return r.Key.CIDR == cidr })
}

// findAddr returns the block of a wanted address, claiming it when it does not exist.
func (s *search) findAddr(ctx context.Context, w Want) (place, error) {
	p, ok := pool.Containing(s.view.Pools, w.Addr)
	if !ok {
		return place{}, fmt.Errorf("%w: requested address %s lies in no pool; choose one of a pool's addresses", pool.ErrUnknownPool, w.Addr)
	}
	if err := p.Usable(pool.Workload); err != nil {
		return place{}, fmt.Errorf("requested address %s: %w", w.Addr, err)
	}
	cidr := p.Block(w.Addr)
	row, err := get(ctx, s.a.Store.Blocks(), cidr)
	if errors.Is(err, ErrNotFound) {
		row, err = s.a.claim(ctx, s.request.Node, cidr)
		if errors.Is(err, errNotOurs) {
			row, err = get(ctx, s.a.Store.Blocks(), cidr)
		}
	}
	if err != nil {
		return place{}, err
	}
	if s.view.Config.StrictAffinity && row.Value.Affinity != hostAffinity(s.request.Node) {
		return place{}, fmt.Errorf("%w: %s lies in block %s of %s, and IPAMConfig.strictAffinity forbids to borrow from it",
			ErrAddrTaken, w.Addr, cidr, orNobody(row.Value.Affinity))
	}
	found := place{want: w, cidr: cidr, row: row}
	return found, s.room(found)
}

func orNobody(affinity string) string {
	if affinity == "" {
		return "nobody"
	}
	return affinity
}

func hostAffinity(node string) string { return "host:" + node }
