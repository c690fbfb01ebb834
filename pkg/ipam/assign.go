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
	"maps"
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
	// Turn waits until it is the request's turn to write to the node's blocks, and reports whether others were at work. Nobody
	// has to take turns: it only keeps the requests of a node out of each other's way. The caller ends the turn after the
	// assignment. Nil waits for nobody.
	Turn func(ctx context.Context) (waited bool)
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

	s := &search{a: a, view: view, request: r, counted: map[netip.Prefix]int{}, wanted: map[netip.Prefix]bool{}, full: map[netip.Prefix]bool{}}
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
		s.renew(ctx, places)
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
}

// takeAll writes the allocations into their blocks, side by side; where that fails because of others, one after the other.
func (s *search) takeAll(ctx context.Context, places []place) ([]Assigned, error) {
	got, failed := make([]Assigned, len(places)), make([]error, len(places))
	// A write that fails does not call the others off: the group's context is not used.
	g, _ := s.a.group(ctx)
	for i, p := range places {
		g.Go(func() error {
			got[i], failed[i] = s.write(ctx, p)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for i, p := range places {
		if failed[i] == nil {
			continue
		}
		var err error
		if got[i], err = s.take(ctx, p, failed[i]); err != nil {
			return nil, err
		}
	}
	return got, nil
}

// take writes an allocation after an attempt that failed. After a conflict it reads the block again; when the block has no
// room left, it looks for another one.
func (s *search) take(ctx context.Context, p place, failed error) (got Assigned, err error) {
	err = retry(ctx, "assign address from block "+p.cidr.String(), func() (err error) {
		held := false
		switch {
		case errors.Is(failed, errFull):
			p, err = s.move(ctx, p)
		case errors.Is(missing(failed), ErrConflict):
			p, got, held, err = s.reread(ctx, p)
		default:
			return failed
		}
		if err != nil || held {
			return err
		}
		if got, failed = s.write(ctx, p); failed != nil {
			// The next attempt looks at the cause.
			return ErrConflict
		}
		return nil
	})
	return got, err
}

// write allocates in the block as it was read, by one write.
func (s *search) write(ctx context.Context, p place) (Assigned, error) {
	b := p.row.Value.Clone()
	b.Thaw(s.a.Now(), s.view.Config.Cooldown)
	h, err := s.pick(&b, p.want)
	if err != nil {
		return Assigned{}, err
	}
	b.Sequence++
	written, err := s.a.Store.Blocks().Update(ctx, p.cidr, Row[block.Block]{Value: b, Rev: p.row.Rev})
	if err != nil {
		return Assigned{}, err
	}
	return s.assigned(p, written, h.Addr), nil
}

// assigned describes an address of the block as it is stored now, and remembers the block if it is the node's.
func (s *search) assigned(p place, stored Row[block.Block], addr netip.Addr) Assigned {
	borrowed := stored.Value.Affinity != hostAffinity(s.request.Node)
	if !borrowed {
		s.a.memory().Keep(p.cidr, stored)
	}
	more := place{want: Want{IPv6: p.want.IPv6}, cidr: p.cidr, row: stored}
	return Assigned{Addr: addr, Block: p.cidr, Borrowed: borrowed, Last: s.room(more) != nil}
}

// reread reads the block of a place again after a conflict. An earlier attempt of this request may have been stored although
// its answer was a conflict, as when a write is repeated after its first answer was lost: held then reports that the
// block has an address for this request already. A block that is gone, or has another owner, is replaced by another place.
func (s *search) reread(ctx context.Context, p place) (to place, got Assigned, held bool, err error) {
	row, err := get(ctx, s.a.Store.Blocks(), p.cidr)
	if err == nil {
		if addr, ok := s.heldAlready(row.Value, p.want); ok {
			return p, s.assigned(p, row, addr), true, nil
		}
	}
	switch {
	case errors.Is(err, ErrNotFound):
		to, err = s.move(ctx, p)
		return to, got, false, err
	case err != nil:
		return place{}, got, false, err
	case row.Value.Affinity != p.row.Value.Affinity:
		to, err = s.move(ctx, p)
		return to, got, false, err
	}
	p.row = row
	// The other writer may have been a release of this handle.
	return p, got, false, s.touch(ctx, p.cidr)
}

// heldAlready returns the address that a block holds for this very request and want, if any. The owner has the time of the request.
func (s *search) heldAlready(b block.Block, w Want) (netip.Addr, bool) {
	for _, h := range b.HeldBy(s.mine) {
		if !w.Addr.IsValid() || w.Addr == h.Addr {
			return h.Addr, true
		}
	}
	return netip.Addr{}, false
}

// mine reports whether an owner is this very request.
func (s *search) mine(o block.Attribute) bool {
	return block.SameHandle(o.Handle, s.request.Handle) && maps.Equal(o.Owner, s.request.Owner)
}

// touch makes sure that the request's handle still counts a block, and keeps it from being deleted unseen.
func (s *search) touch(ctx context.Context, cidr netip.Prefix) error {
	handle, err := s.a.touch(ctx, s.request.Handle, cidr)
	if err != nil {
		return err
	}
	s.handle = handle
	return nil
}

// move finds another place for a want, and moves the handle's count along.
func (s *search) move(ctx context.Context, from place) (place, error) {
	to, err := s.find(ctx, from.want)
	if err != nil {
		return to, err
	}
	if to.cidr == from.cidr {
		// It is another block than before, made anew: a release of this handle had nothing to write to.
		return to, s.touch(ctx, to.cidr)
	}
	moved := s.handle
	moved.Value.Counts = apply(moved.Value.Counts, map[netip.Prefix]int{to.cidr: 1, from.cidr: -1})
	moved, err = s.a.Store.Handles().Update(ctx, s.request.Handle, moved)
	if errors.Is(missing(err), ErrConflict) {
		return to, s.moveApart(ctx, from, to)
	}
	if err == nil {
		s.handle = moved
		s.counted[from.cidr]--
		s.counted[to.cidr]++
	}
	return to, err
}

// moveApart counts the new place after a conflict. The count of the old place stays: the update that conflicted may have
// lowered it already, and to lower it twice would hide an address. The release of the handle settles it.
func (s *search) moveApart(ctx context.Context, from, to place) error {
	s.counted[from.cidr]--
	return s.countUp(ctx, map[netip.Prefix]int{to.cidr: 1})
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
	h, ok := b.Assign(owner, s.view.reserved)
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
