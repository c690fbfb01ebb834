// SPDX-License-Identifier: Apache-2.0

package nodeipam

import (
	"net/netip"
	"slices"

	"calico-cni/internal/nodestate"
	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
)

// blockCache implements ipam.BlockCache with files.
type blockCache struct {
	files nodestate.BlockFiles
	// node has the index. A release needs none.
	node  string
	codec blockCodec
}

// blockCodec turns a row of a block into bytes and back.
type blockCodec interface {
	EncodeBlock(row ipam.Row[block.Block]) ([]byte, error)
	DecodeBlock(data []byte) (ipam.Row[block.Block], error)
}

// WithRoom implements ipam.BlockCache.
func (c blockCache) WithRoom() []netip.Prefix { return c.files.WithRoom(c.node) }

// forAll returns one block for each wanted family, or none if a family has none. verify says that the affinity of one
// of them has to be read.
func (c blockCache) forAll(wants []ipam.Want) (cidrs []netip.Prefix, verify bool) {
	withRoom := c.WithRoom()
	for _, w := range wants {
		i := slices.IndexFunc(withRoom, func(cidr netip.Prefix) bool { return cidr.Addr().Is6() == w.IPv6 })
		if i < 0 {
			return nil, false
		}
		cidrs = append(cidrs, withRoom[i])
		verify = verify || c.files.MustVerify(c.node, withRoom[i])
	}
	return cidrs, verify
}

// update replaces the indexed blocks of the families of an assignment. It indexes neither full blocks nor blocks of
// other nodes. verified says of which blocks the assignment has read the affinity.
func (c blockCache) update(assigned []ipam.Assigned, verified func(cidr netip.Prefix) bool) {
	var read []netip.Prefix
	withRoom := slices.DeleteFunc(c.WithRoom(), func(cidr netip.Prefix) bool {
		return slices.ContainsFunc(assigned, func(a ipam.Assigned) bool { return a.Block.Addr().Is6() == cidr.Addr().Is6() })
	})
	for _, a := range assigned {
		if !a.Last && !a.Borrowed && !a.Existing {
			withRoom = append(withRoom, a.Block)
			if verified(a.Block) {
				read = append(read, a.Block)
			}
		}
	}
	c.files.SetWithRoom(c.node, withRoom, read...)
}

// Get implements ipam.BlockCache.
func (c blockCache) Get(cidr netip.Prefix) (ipam.Row[block.Block], bool) {
	encoded, ok := c.files.Read(cidr)
	if !ok {
		return ipam.Row[block.Block]{}, false
	}
	row, err := c.codec.DecodeBlock(encoded)
	return row, err == nil && !row.Deleted && row.Value.CIDR == cidr
}

// Put implements ipam.BlockCache.
func (c blockCache) Put(cidr netip.Prefix, row ipam.Row[block.Block]) {
	encoded, err := c.codec.EncodeBlock(row)
	if err != nil {
		c.files.Remove(cidr)
		return
	}
	c.files.Write(cidr, encoded)
}

// Replace implements ipam.BlockCache. If another command removes the file meanwhile, Put creates it again: the cache
// may return any earlier revision.
func (c blockCache) Replace(cidr netip.Prefix, row ipam.Row[block.Block]) {
	if c.files.Has(cidr) {
		c.Put(cidr, row)
	}
}

// Delete implements ipam.BlockCache.
func (c blockCache) Delete(cidr netip.Prefix) { c.files.Remove(cidr) }
