package pool

import (
	"hash/fnv"
	"iter"
	"net/netip"
)

// maxWalkBits bounds how much of a huge pool a walk covers: its first 2^62 blocks.
const maxWalkBits = 62

// Blocks returns how many blocks the pool has, as far as Walk covers them.
func (p Pool) Blocks() uint64 { return 1 << min(p.BlockSize-p.CIDR.Bits(), maxWalkBits) }

// Walk returns every block of the pool once, in an order that is the same for one node each time and differs from
// node to node, so that nodes that claim blocks at the same moment seldom want the same one.
func (p Pool) Walk(node string) iter.Seq[netip.Prefix] {
	return func(yield func(netip.Prefix) bool) {
		h := fnv.New64a()
		_, _ = h.Write([]byte(node))
		seed, n := h.Sum64(), p.Blocks()
		// An odd stride visits every residue of a power of two.
		at, stride := seed%n, (seed>>32)|1
		for range n {
			if !yield(p.block(at)) {
				return
			}
			at = (at + stride) % n
		}
	}
}

// Block returns the block of the pool that an address of it lies in.
func (p Pool) Block(addr netip.Addr) netip.Prefix {
	return netip.PrefixFrom(addr, p.BlockSize).Masked()
}

func (p Pool) block(index uint64) netip.Prefix {
	bytes := p.CIDR.Addr().AsSlice()
	shift := len(bytes)*8 - p.BlockSize
	for bit := range 64 {
		if index>>bit&1 == 1 {
			at := shift + bit
			bytes[len(bytes)-1-at/8] |= 1 << (at % 8)
		}
	}
	addr, _ := netip.AddrFromSlice(bytes)
	return netip.PrefixFrom(addr, p.BlockSize)
}
