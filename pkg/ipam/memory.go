package ipam

import (
	"context"
	"net/netip"

	"calico-cni/pkg/ipam/block"
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
	for _, row := range s.ownIn(pools) {
		b, ok := s.view.Blocks[row.Key.CIDR]
		if !ok {
			continue
		}
		p := place{want: w, cidr: row.Key.CIDR}
		if p.row, err = s.agreed(row, b, nil); err == nil && s.room(p) == nil {
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

// renew takes the turn for places that are known already, and has them as they are now, as far as the node remembers.
func (s *search) renew(ctx context.Context, places []place) {
	if !s.takeTurn(ctx) {
		return
	}
	for i, p := range places {
		if row, ok := s.view.Blocks[p.cidr]; ok {
			places[i].row = row
		}
	}
}

// recollect adds the blocks in which others of the node have found room since, and reports whether there are any.
func (s *search) recollect() bool {
	found := false
	for _, cidr := range s.a.memory().Roomy() {
		if s.owns(cidr) || s.full[cidr] {
			continue
		}
		s.view.Affinities = append(s.view.Affinities, AffinityRow{Key: AffinityKey{s.request.Node, cidr}})
		s.recall(cidr)
		found = true
	}
	return found
}
