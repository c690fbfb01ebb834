// Package ipam allocates addresses from blocks that nodes own, in a store that every node shares.
//
// The store knows compare-and-swap on one row and nothing larger, so every operation is a sequence of single writes
// in an order that leaves no harm wherever it is cut: a handle is counted up before its block is written and counted
// down after, a claim is pending before its block exists and confirmed after, and whoever meets what a crash left
// behind heals it.
package ipam

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"

	"calico-cni/internal/undo"
	"calico-cni/pkg/ipam/block"
)

// Allocator assigns and releases addresses in a store.
type Allocator struct {
	Store Store
	// Now is the clock.
	Now func() time.Time
	// Parallel bounds how many calls of the store are made side by side where none depends on another; 0 sets no bound.
	Parallel int
	// Memory is what the node remembers of its blocks; nil is none.
	Memory Memory
	// Turn waits until it is the request's turn to write to the node's blocks, and reports whether others were at work.
	// Nobody has to take turns: it only keeps the requests of a node out of each other's way. The caller ends the turn
	// after the assignment. Nil waits for nobody.
	Turn func(ctx context.Context) (waited bool)
	// Wait waits before a retry of a write that met a conflict; retries counts from 1. It returns an error when the
	// context ends first. See Backoff. Nil does not wait.
	Wait func(ctx context.Context, retries int) error
}

// group returns a group of goroutines within the allocator's bound.
func (a *Allocator) group(ctx context.Context) (*errgroup.Group, context.Context) {
	g, ctx := errgroup.WithContext(ctx)
	if a.Parallel > 0 {
		g.SetLimit(a.Parallel)
	}
	return g, ctx
}

// Request asks for one address of each family that is wanted, all or none.
type Request struct {
	// Node is the node that the addresses are for, Handle the ID that they will be released by.
	Node, Handle string
	// Owner describes the holder and is stored with each address: pod, namespace, node, timestamp. It must differ from
	// request to request, as a timestamp makes it, for a failed request is undone by it.
	Owner map[string]string
	// NamespaceLabels are what namespace selectors of pools look at.
	NamespaceLabels map[string]string
	// Wants has one entry a family.
	Wants []Want
	// Again says which owners of the handle are this very request, made before: what they hold is given again, instead of
	// more. Nil means none.
	Again func(owner map[string]string) bool
}

// Want is one wanted address.
type Want struct {
	IPv6 bool
	// Pools are names or CIDRs of the pools that may serve; empty leaves the choice to the selectors.
	Pools []string
	// Addr is the very address wanted; the zero value leaves the choice to the allocator.
	Addr netip.Addr
}

// Assigned is one address that the request now holds.
type Assigned struct {
	Addr netip.Addr
	// Block is the block that it is from; Borrowed, when that is not the node's own. Last says that the block has no other
	// address to give now.
	Block          netip.Prefix
	Borrowed, Last bool
	// Again says that the request held it already.
	Again bool
}

// Assign gives the request an address of every family that it wants, in the order of its wants. When it cannot have
// all, it keeps none, and the error wraps ErrNoAddress, ErrAddrTaken, pool.ErrUnknownPool or what the store returned.
func (a *Allocator) Assign(ctx context.Context, view View, r Request) (got []Assigned, err error) {
	var u undo.Stack
	defer func() { u.OnError(ctx, &err) }()

	s := newSearch(a, view, r)
	places := s.known()
	waits := places != nil
	if !waits {
		s.takeTurn(ctx)
		if places, err = s.findAll(ctx); err != nil {
			return nil, err
		}
	}
	u.Push(func(ctx context.Context) error { return a.dropUnused(ctx, r.Handle) })
	if err := s.countUp(ctx, countsOf(places)); err != nil {
		return nil, err
	}
	u.Push(s.withdraw)
	if got, err = s.again(ctx); got != nil || err != nil {
		return got, err
	}
	if waits {
		if err := s.renew(ctx, places); err != nil {
			return nil, err
		}
	}
	return s.takeAll(ctx, places)
}

// findAll finds a place for each want.
func (s *search) findAll(ctx context.Context) (places []place, err error) {
	places = make([]place, len(s.request.Wants))
	for i, w := range s.request.Wants {
		if places[i], err = s.find(ctx, w); err != nil {
			return nil, err
		}
		s.wanted[places[i].cidr] = true
	}
	return places, nil
}

func countsOf(places []place) map[netip.Prefix]int {
	counts := map[netip.Prefix]int{}
	for _, p := range places {
		counts[p.cidr]++
	}
	return counts
}

// place is where a wanted address can be had: a block that had room when it was read.
type place struct {
	want Want
	cidr netip.Prefix
	row  Row[block.Block]
	// admitted says that the block passed the check for overlapping blocks.
	admitted bool
}

// pick allocates in the value of a block, and in that alone.
func (s *search) pick(b *block.Block, w Want) (block.Holding, error) {
	owner := block.Attribute{Handle: s.request.Handle, Owner: s.request.Owner}
	if w.Addr.IsValid() {
		h, err := b.AssignAddr(w.Addr, owner)
		if errors.Is(err, block.ErrTaken) {
			return h, fmt.Errorf("%w: %w; choose another address, or release it", ErrAddrTaken, err)
		}
		return h, err
	}
	h, ok := b.Assign(owner, s.reserved.Contains)
	if !ok {
		return h, errFull
	}
	return h, nil
}

// countUp raises the handle and remembers what was raised for certain. When a write may have gone through unnoticed,
// the handle counts too much until its release settles it; to lower it on suspicion could make it count too little.
func (s *search) countUp(ctx context.Context, counts map[netip.Prefix]int) error {
	handle, err := s.a.countUp(ctx, s.request.Handle, counts)
	if err != nil {
		return err
	}
	s.handle = handle
	for cidr, n := range counts {
		s.counted[cidr] += n
	}
	return nil
}
