package ipam

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"

	"calico-cni/pkg/ipam/block"
)

// takeAll writes the allocations into their blocks, side by side; where that fails because of others, one after the
// other.
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

// take writes an allocation after an attempt that failed. After a conflict it reads the block again; when the block
// has no room left, it looks for another one.
func (s *search) take(ctx context.Context, p place, failed error) (got Assigned, err error) {
	err = s.a.retry(ctx, "assign address from block "+p.cidr.String(), func() (err error) {
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

// reread reads the block of a place again after a conflict. An earlier attempt of this request may have been stored
// although its answer was a conflict, as when a write is repeated after its first answer was lost: held then reports
// that the block has an address for this request already. A block that is gone, or has another owner, is replaced by
// another place.
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
	case row.UID != p.row.UID, row.Value.Affinity != p.row.Value.Affinity:
		// A block that was created again has not passed the check for overlapping blocks.
		to, err = s.move(ctx, p)
		return to, got, false, err
	}
	p.row = row
	// The other writer may have been a release of this handle.
	return p, got, false, s.touch(ctx, p.cidr)
}

// heldAlready returns the address that a block holds for this very request and want, if any. The owner has the time
// of the request.
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
	handle, err := s.a.touch(ctx, s.request.Handle, s.handle.UID, cidr)
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

// moveApart counts the new place after a conflict. The count of the old place stays: the update that conflicted may
// have lowered it already, and to lower it twice would hide an address. The release of the handle settles it. A handle
// that is gone, or another one, is not made anew: a release has given back what this request had by it.
func (s *search) moveApart(ctx context.Context, from, to place) error {
	id, uid := s.request.Handle, s.handle.UID
	return s.a.retry(ctx, "count addresses of handle "+id, func() error {
		row, err := get(ctx, s.a.Store.Handles(), id)
		if errors.Is(err, ErrNotFound) || err == nil && row.UID != uid {
			return fmt.Errorf("assign address to handle %s: %w: its container is being deleted", id, ErrReleased)
		}
		if err != nil {
			return err
		}
		row.Value.Counts = apply(row.Value.Counts, map[netip.Prefix]int{to.cidr: 1})
		if row, err = s.a.Store.Handles().Update(ctx, id, row); err != nil {
			return missing(err)
		}
		s.handle = row
		s.counted[from.cidr]--
		s.counted[to.cidr]++
		return nil
	})
}
