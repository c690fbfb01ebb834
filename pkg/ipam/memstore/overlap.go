// SPDX-License-Identifier: Apache-2.0

package memstore

import (
	"context"
	"net/netip"
	"slices"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
)

// BlocksOverlapping implements ipam.Store.
func (s *Store) BlocksOverlapping(_ context.Context, cidr netip.Prefix) ([]netip.Prefix, error) {
	if s.Fault != nil && s.Fault(Request{Verb: "list", Kind: "block"}) != Pass {
		return nil, errUnavailable
	}
	var found []netip.Prefix
	s.blocks.each(func(other netip.Prefix, _ ipam.Row[block.Block]) {
		if other.Overlaps(cidr) {
			found = append(found, other)
		}
	})
	slices.SortFunc(found, netip.Prefix.Compare)
	return found, nil
}
