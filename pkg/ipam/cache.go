// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"net/netip"

	"calico-cni/pkg/ipam/block"
)

// BlockCache keeps the blocks of a node as the node last wrote them, from one request to the next. It saves reads. It
// may be stale or lose entries at any time: an address is only allocated or released by a compare-and-swap on the
// cached revision, and before a block counts as full, or as not holding an address, it is read from the store.
type BlockCache interface {
	// WithRoom returns the blocks of the node that had free addresses when the node last used them.
	WithRoom() []netip.Prefix
	// Get returns a block as the node last wrote it.
	Get(cidr netip.Prefix) (Row[block.Block], bool)
	// Put stores a block of the node after a write. Replace does so only if the cache has an earlier revision.
	Put(cidr netip.Prefix, row Row[block.Block])
	Replace(cidr netip.Prefix, row Row[block.Block])
	// Delete drops a block that no longer exists.
	Delete(cidr netip.Prefix)
}

// noCache is the cache of an allocator that has none.
type noCache struct{}

func (noCache) WithRoom() []netip.Prefix                  { return nil }
func (noCache) Get(netip.Prefix) (Row[block.Block], bool) { return Row[block.Block]{}, false }
func (noCache) Put(netip.Prefix, Row[block.Block])        {}
func (noCache) Replace(netip.Prefix, Row[block.Block])    {}
func (noCache) Delete(netip.Prefix)                       {}
