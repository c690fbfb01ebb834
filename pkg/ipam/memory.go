package ipam

import (
	"context"
	"net/netip"

	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/ipam/pool"
)

// Memory is what a node remembers of its blocks from one request to the next. It may be out of date in any way, and lost
// at any moment: it saves reads, and nothing is decided by it. An address is only ever given, or given back, by a write
// that the store compares with the revision that was remembered; and that a block has no room, or does not hold
// what is looked for, is only believed of the store.
type Memory interface {
	// Roomy returns the blocks of the node in which it lately found room.
	Roomy() []netip.Prefix
	// Recall returns a block as the node last wrote it.
	Recall(cidr netip.Prefix) (Row[block.Block], bool)
	// Keep remembers a block of the node as it was just written; Renew does so if an earlier revision is remembered.
	Keep(cidr netip.Prefix, row Row[block.Block])
	Renew(cidr netip.Prefix, row Row[block.Block])
	// Forget drops a block that is gone.
	Forget(cidr netip.Prefix)
}

// amnesia is the memory of an allocator that has none.
type amnesia struct{}

func (amnesia) Roomy() []netip.Prefix                        { return nil }
func (amnesia) Recall(netip.Prefix) (Row[block.Block], bool) { return Row[block.Block]{}, false }
func (amnesia) Keep(netip.Prefix, Row[block.Block])          {}
func (amnesia) Renew(netip.Prefix, Row[block.Block])         {}
func (amnesia) Forget(netip.Prefix)                          {}

func (a *Allocator) memory() Memory {
	if a.Memory == nil {
		return amnesia{}
	}
	return a.Memory
}

// known returns a place for each want in the blocks that the view has, without a call of the store, or nil when one want
// has none there.
func (s *search) known() []place {
	if !s.view.Remembered {
		return nil
	}
	places := make([]place, len(s.request.Wants))
	for i, w := range s.request.Wants {
		p, ok := s.knownFor(w)
		if !ok {
			return nil
		}
		places[i] = p
	}
	return places
}

func (s *search) knownFor(w Want) (place, bool) {
	if w.Addr.IsValid() {
		return place{}, false
	}
	pools, _, err := s.pools(w)
	if err != nil {
		return place{}, false
	}
	return s.knownIn(pools, w)
}

// knownIn returns a place in the blocks of some pools that the view has. Whoever comes back to one wants to know what has
// become of it, so that the view has it no more.
func (s *search) knownIn(pools []pool.Pool, w Want) (place, bool) {
	for _, row := range s.ownIn(pools) {
		b, ok := s.view.Blocks[row.Key.CIDR]
		if !ok || !s.view.Remembered {
			continue
		}
		b, err := s.agreed(row, b, nil)
		p := place{want: w, cidr: row.Key.CIDR, row: b}
		if err == nil && s.room(p) == nil {
			delete(s.view.Blocks, p.cidr)
			return p, true
		}
	}
	return place{}, false
}

// takeTurn waits for the request's turn on its node. What the view has of blocks is out of date after it had to wait.
func (s *search) takeTurn(ctx context.Context) (waited bool) {
	if s.a.Turn == nil || !s.a.Turn(ctx) {
		return false
	}
	for cidr := range s.view.Blocks {
		s.recall(cidr)
	}
	return true
}

// recall has the view show a block as the node remembers it now, or not at all.
func (s *search) recall(cidr netip.Prefix) {
	row, ok := s.a.memory().Recall(cidr)
	switch {
	case !ok:
		delete(s.view.Blocks, cidr)
	case s.view.Blocks == nil:
		s.view.Blocks = map[netip.Prefix]Row[block.Block]{cidr: row}
	default:
		s.view.Blocks[cidr] = row
	}
}

// renew takes the turn for places that are known already, and recalls their blocks again if it had to wait. A release of
// this handle may have written a block before it was recalled, so that the write of the block would not conflict with it. The
// handle is written after the recall: either the release has deleted the handle by then, or its deletion conflicts.
func (s *search) renew(ctx context.Context, places []place) error {
	if !s.takeTurn(ctx) {
		return nil
	}
	changed := false
	for i, p := range places {
		if row, ok := s.a.memory().Recall(p.cidr); ok {
			changed = changed || row.Value.Sequence != p.row.Value.Sequence
			places[i].row = row
		}
	}
	if !changed {
		return nil
	}
	return s.confirmHandle(ctx, places)
}

// confirmHandle gives the handle a new revision, by one write if nobody else wrote to it since.
func (s *search) confirmHandle(ctx context.Context, places []place) error {
	handle := s.handle
	handle.Value.Touches++
	written, err := s.a.Store.Handles().Update(ctx, s.request.Handle, handle)
	if err == nil {
		s.handle = written
		return nil
	}
	if err := ignore(err, ErrConflict, ErrNotFound); err != nil {
		return err
	}
	for _, p := range places {
		if err := s.touch(ctx, p.cidr); err != nil {
			return err
		}
	}
	return nil
}

// recollect adds the blocks in which others of the node have found room since.
func (s *search) recollect() {
	for _, cidr := range s.a.memory().Roomy() {
		if s.owns(cidr) || s.full[cidr] {
			continue
		}
		s.view.Affinities = append(s.view.Affinities, AffinityRow{Key: AffinityKey{s.request.Node, cidr}})
		s.recall(cidr)
	}
}
