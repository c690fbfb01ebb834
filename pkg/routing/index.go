// SPDX-License-Identifier: Apache-2.0

package routing

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"

	"calico-cni/pkg/model"
)

// prefixTable finds values by prefix. A lookup costs one step for each length that is in the table.
type prefixTable[V any] struct {
	values map[netip.Prefix]V
	// lengths are the lengths in the table, longest first.
	lengths []int
}

// newPrefixTable returns a table of values. If two have the same prefix, better decides.
func newPrefixTable[V any](list []V, prefix func(V) netip.Prefix, better func(a, b V) bool) prefixTable[V] {
	t := prefixTable[V]{values: make(map[netip.Prefix]V, len(list))}
	var has [129]bool
	for _, v := range list {
		p := prefix(v)
		if !p.IsValid() {
			continue
		}
		if other, ok := t.values[p]; ok && better(other, v) {
			continue
		}
		t.values[p] = v
		has[p.Bits()] = true
	}
	for bits := len(has) - 1; bits >= 0; bits-- {
		if has[bits] {
			t.lengths = append(t.lengths, bits)
		}
	}
	return t
}

// covering returns the value of the longest prefix that contains p and is not longer than maxBits, which is at most the
// length of p.
func (t prefixTable[V]) covering(p netip.Prefix, maxBits int) (v V, ok bool) {
	for _, bits := range t.lengths {
		if bits > maxBits {
			continue
		}
		wide, err := p.Addr().Prefix(bits)
		if err != nil {
			continue
		}
		if v, ok = t.values[wide]; ok {
			return v, true
		}
	}
	return v, false
}

// indexPools indexes the pools and reports those that overlap.
func (c *computation) indexPools() {
	list := pointers(c.in.Pools)
	c.pools = newPrefixTable(list, func(p *model.Pool) netip.Prefix { return p.CIDR },
		func(a, b *model.Pool) bool { return a.Name < b.Name })
	for _, p := range list {
		if !p.CIDR.IsValid() {
			continue
		}
		outer, ok := c.pools.values[p.CIDR], true
		if outer == p {
			outer, ok = c.pools.covering(p.CIDR, p.CIDR.Bits()-1)
		}
		if ok {
			c.poolsOverlap = true
			c.find(model.KindIPPool, p.Name, "spec.cidr", overlapProblem(p, outer),
				"delete one of the pools, after moving its pods to the other")
		}
	}
}

func overlapProblem(p, outer *model.Pool) string {
	if p.CIDR == outer.CIDR {
		return fmt.Sprintf("the pool has the same CIDR %s as pool %s, whose encapsulation counts", p.CIDR, outer.Name)
	}
	return fmt.Sprintf("%s lies in %s of pool %s: the encapsulation of %s counts for these addresses",
		p.CIDR, outer.CIDR, outer.Name, p.Name)
}

// use is the node that uses an address which has a route of its own, and the length of the block that says so.
type use struct {
	node string
	bits int
}

// indexUses finds the addresses that have routes of their own: borrowed ones, and those in blocks of one address. If
// blocks overlap, the smallest decides.
func (c *computation) indexUses() {
	c.uses = map[netip.Addr]use{}
	for i := range c.in.Blocks {
		b := &c.in.Blocks[i]
		if b.CIDR.IsSingleIP() && len(b.Borrowed) == 0 {
			c.addUse(b.CIDR.Addr(), use{b.Node, b.CIDR.Bits()})
		}
		for _, a := range b.Borrowed {
			c.addUse(a.Addr, use{a.Node, b.CIDR.Bits()})
		}
	}
}

func (c *computation) addUse(addr netip.Addr, u use) {
	if other, ok := c.uses[addr]; !ok || u.bits > other.bits {
		c.uses[addr] = u
	}
}

// indexEndpoints finds the endpoint of each local address.
func (c *computation) indexEndpoints() {
	c.local = make(map[netip.Addr]Endpoint, len(c.in.Endpoints))
	for _, e := range c.in.Endpoints {
		for _, addr := range e.Addrs {
			other, ok := c.local[addr]
			if !ok || cmp.Or(cmp.Compare(e.Index, other.Index), strings.Compare(other.Interface, e.Interface)) > 0 {
				c.local[addr] = e
			}
		}
	}
}

// blocks returns a table of the blocks. Few computations need it.
func (c *computation) blocks() *prefixTable[*model.Block] {
	if c.blockTable == nil {
		t := newPrefixTable(pointers(c.in.Blocks), func(b *model.Block) netip.Prefix { return b.CIDR },
			func(a, b *model.Block) bool { return a.Node < b.Node })
		c.blockTable = &t
	}
	return c.blockTable
}

// userOf returns the node that uses an address according to IPAM, or an empty string. An address that no other node
// has borrowed counts as used by the node of its block.
func (c *computation) userOf(addr netip.Addr) string {
	if u, ok := c.uses[addr]; ok {
		return u.node
	}
	if b, ok := c.blocks().covering(single(addr), addr.BitLen()); ok {
		return b.Node
	}
	return ""
}

// poolOf returns the smallest pool that contains a block or an address.
func (c *computation) poolOf(p netip.Prefix) (*model.Pool, bool) {
	// Blocks come in runs of one pool. Without pools inside of pools the last answer often holds again.
	if c.lastPool != nil && c.lastPool.CIDR.Contains(p.Addr()) && c.lastPool.CIDR.Bits() <= p.Bits() {
		return c.lastPool, true
	}
	pool, ok := c.pools.covering(p, p.Bits())
	if ok && !c.poolsOverlap {
		c.lastPool = pool
	}
	return pool, ok
}

func pointers[V any](list []V) []*V {
	out := make([]*V, len(list))
	for i := range list {
		out[i] = &list[i]
	}
	return out
}

func single(addr netip.Addr) netip.Prefix { return netip.PrefixFrom(addr, addr.BitLen()) }
