package ipam

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"calico-cni/pkg/ipam/pool"
)

// findAddr returns the block of a wanted address, claiming one when no block has the address.
func (s *search) findAddr(ctx context.Context, w Want) (found place, err error) {
	p, ok := pool.Containing(s.view.Pools, w.Addr)
	if !ok {
		return place{}, fmt.Errorf("%w: requested address %s lies in no pool; choose one of a pool's addresses",
			pool.ErrUnknownPool, w.Addr)
	}
	if err := p.Usable(pool.Workload); err != nil {
		return place{}, fmt.Errorf("requested address %s: %w", w.Addr, err)
	}
	for pass, again := 1, true; again; pass++ {
		err = s.a.retry(ctx, "assign address "+w.Addr.String(), func() (err error) {
			found, err = s.placeOf(ctx, w, p.Block(w.Addr))
			return err
		})
		collided := err
		if again, err = s.collisionsGone(ctx, pass); err == nil {
			err = collided
		}
	}
	if err != nil {
		return place{}, err
	}
	owner := found.row.Value.Affinity
	if s.view.Config.StrictAffinity && owner != hostAffinity(s.request.Node) {
		return place{}, fmt.Errorf("%w: %s lies in block %s of %s, and IPAMConfig.strictAffinity forbids borrowing from it "+
			"(request an address of the node, or set it to false)",
			ErrAddrTaken, w.Addr, found.cidr, orNobody(owner))
	}
	return found, s.room(found)
}

// placeOf returns the block that has a wanted address now, whatever its size, or claims the usual one, which the pool
// provides for it. It returns ErrConflict when the blocks change meanwhile.
func (s *search) placeOf(ctx context.Context, w Want, usual netip.Prefix) (place, error) {
	found, err := s.blockWith(ctx, w, usual)
	if !errors.Is(err, ErrNotFound) {
		return found, err
	}
	cidrs, err := s.a.Store.BlocksOverlapping(ctx, netip.PrefixFrom(w.Addr, w.Addr.BitLen()))
	if err != nil {
		return place{}, err
	}
	if len(cidrs) > 0 {
		found, err = s.blockWith(ctx, w, cidrs[0])
		return found, missing(err)
	}
	mine, err := s.a.claim(ctx, s.request.Node, usual)
	var overlap *OverlapError
	switch {
	case errors.As(err, &overlap):
		s.collisions = append(s.collisions, overlap)
		return place{}, fmt.Errorf("%w: requested address %s: %w", ErrAddrTaken, w.Addr, overlap)
	case errors.Is(err, errNotOurs):
		// Another process created the block.
		return place{}, errors.Join(ErrConflict, err)
	case err != nil:
		return place{}, err
	}
	return place{want: w, cidr: usual, row: mine.row, admitted: mine.checked}, nil
}

// blockWith reads a block that has a wanted address, and checks that no other block has the address too.
func (s *search) blockWith(ctx context.Context, w Want, cidr netip.Prefix) (place, error) {
	row, err := get(ctx, s.a.Store.Blocks(), cidr)
	if err != nil {
		return place{}, err
	}
	found := place{want: w, cidr: cidr, row: row}
	if row.Value.Affinity == hostAffinity(s.request.Node) {
		// The node will allocate other addresses from it as well.
		err = s.admit(ctx, found)
	} else {
		err = s.a.sharing(ctx, cidr, netip.PrefixFrom(w.Addr, w.Addr.BitLen()))
	}
	var overlap *OverlapError
	if errors.As(err, &overlap) {
		return place{}, fmt.Errorf("%w: requested address %s: %w", ErrAddrTaken, w.Addr, overlap)
	}
	return found, err
}
