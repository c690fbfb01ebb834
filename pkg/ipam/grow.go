package ipam

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"calico-cni/pkg/ipam/pool"
)

const (
	// maxProbes bounds how many blocks of one pool a search looks at, so that a huge pool that is full costs a bounded
	// time.
	maxProbes = 2048
	// maxBatch is how many blocks are looked at side by side. The first look is at one block alone, for it is mostly free.
	maxBatch = 16
	// maxKept bounds how many blocks of others are remembered to be taken over, or borrowed from.
	maxKept = 16
	// idleAfter is how long another node's block must have been claimed before it may be taken over for being empty: its
	// owner may have claimed it for a pod that is about to use it.
	idleAfter = time.Minute
)

// grow finds room outside of the node's blocks. In each pool it prefers a block that nobody owns; then one that
// another node owns but does not use; and, unless affinity is strict, single addresses of blocks of others. It returns
// errFull, and of each pool why, when there is none.
func (s *search) grow(ctx context.Context, w Want, pools []pool.Pool) (place, []string, error) {
	if err := s.releaseUnselected(ctx); err != nil {
		return place{}, nil, err
	}
	limit, err := s.makeWay(ctx, w, pools)
	if err != nil {
		return place{}, nil, err
	}
	for pass := 1; ; pass++ {
		found, reasons, err := s.survey(ctx, w, pools, limit)
		if !errors.Is(err, errFull) {
			return found, nil, err
		}
		again, err := s.collisionsGone(ctx, pass)
		if err != nil {
			return place{}, nil, err
		}
		if !again {
			return place{}, reasons, errFull
		}
	}
}

// survey looks for room in each pool once, and says of each pool why it has none.
func (s *search) survey(ctx context.Context, w Want, pools []pool.Pool, limit string) (place, []string, error) {
	var reasons []string
	var lend []place
	for _, p := range pools {
		v := survey{search: s, want: w, pool: p, mayClaim: limit == ""}
		found, err := v.run(ctx)
		if !errors.Is(err, errFull) {
			return found, nil, err
		}
		lend = append(lend, v.roomy...)
		reasons = append(reasons, p.Name+": "+v.reason(limit))
	}
	if p, err := s.own(ctx, w, s.misfits(pools)); !errors.Is(err, errFull) {
		return p, nil, err
	}
	if s.view.Config.StrictAffinity {
		return place{}, reasons, errFull
	}
	for _, p := range lend {
		if err := s.collision(s.admit(ctx, p)); !errors.Is(err, errFull) {
			return p, nil, err
		}
	}
	return place{}, reasons, errFull
}

// makeWay says why the node may claim no more blocks, or "". Before it gives up at the cap it gives back blocks that
// are empty and that this want cannot use, lest they keep the pools that it can use from serving the node at all.
func (s *search) makeWay(ctx context.Context, w Want, pools []pool.Pool) (string, error) {
	switch {
	case s.limit(w) == "" || !s.view.Config.AutoAllocateBlocks:
		return s.limit(w), nil
	case s.dry && s.couldMakeWay(w, pools):
		return "", nil
	case s.dry:
		return s.limit(w), nil
	}
	err := s.giveBackWhere(ctx, func(cidr netip.Prefix) bool {
		_, usable := pool.Containing(pools, cidr.Addr())
		return cidr.Addr().Is6() == w.IPv6 && !usable
	})
	return s.limit(w), err
}

// limit says why the node may claim no more blocks, or "".
func (s *search) limit(w Want) string {
	config, mine := s.view.Config, s.blocksOf(w.IPv6)
	switch {
	case !config.AutoAllocateBlocks:
		return "the node's blocks are full, and IPAMConfig.autoAllocateBlocks is off (set it to true)"
	case mine >= config.MaxBlocksPerHost:
		return fmt.Sprintf("the node's %d blocks are full, and IPAMConfig.maxBlocksPerHost is %d (raise it)", mine, config.MaxBlocksPerHost)
	}
	return ""
}
