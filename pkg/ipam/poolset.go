// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"net/netip"
	"slices"

	"calico-cni/pkg/ipam/pool"
)

// poolSet is the pools of the cluster as they apply to one node.
type poolSet struct {
	pools      []pool.Pool
	nodeLabels map[string]string
}

// choose returns the pools that may serve a want, and why the others may not.
func (s poolSet) choose(w Want, namespaceLabels map[string]string) ([]pool.Pool, []pool.Rejection, error) {
	return pool.Choose(s.pools, pool.Query{
		IPv6: w.IPv6, Use: w.use(), Requested: w.Pools, NodeLabels: s.nodeLabels, NamespaceLabels: namespaceLabels,
	})
}

// selects reports whether the pool of a block exists, selects the node, and has the block's size.
func (s poolSet) selects(cidr netip.Prefix) bool {
	p, ok := pool.Containing(s.pools, cidr.Addr())
	return ok && p.Selects(s.nodeLabels) && p.BlockSize == cidr.Bits()
}

// fits reports whether a block has the block size of its pool. If not, other processes may create blocks that overlap
// it at any time, and a check for overlapping blocks that it has passed before does not count.
func (s poolSet) fits(cidr netip.Prefix) bool {
	p, ok := pool.Containing(s.pools, cidr.Addr())
	return ok && p.BlockSize == cidr.Bits() && !slices.ContainsFunc(p.Inner(s.pools), cidr.Overlaps)
}

// in reports whether a block belongs to a pool. Of nested pools, a block belongs to the innermost.
func (s poolSet) in(cidr netip.Prefix, p pool.Pool) bool {
	innermost, ok := pool.Containing(s.pools, cidr.Addr())
	return ok && innermost.CIDR == p.CIDR
}
