package memstore

import (
	"context"
	"net/netip"
	"slices"
)

// BlocksOverlapping implements ipam.Store.
func (s *Store) BlocksOverlapping(_ context.Context, cidr netip.Prefix) ([]netip.Prefix, error) {
	if s.outcome(Request{Verb: "list", Kind: "block"}) != Pass {
		return nil, errUnavailable
	}
	var found []netip.Prefix
	for other := range s.blocks.all() {
		if other.Overlaps(cidr) {
			found = append(found, other)
		}
	}
	slices.SortFunc(found, netip.Prefix.Compare)
	return found, nil
}
