// SPDX-License-Identifier: Apache-2.0

package memstore

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
)

// String returns every row of the store as a line of text, sorted.
func (s *Store) String() string {
	var out []string
	s.affinities.each(func(key ipam.AffinityKey, row ipam.Row[ipam.Affinity]) {
		out = append(out, fmt.Sprintf("affinity %s %s %s%s", key.Node, key.CIDR, row.Value.State, deleted(row.Deleted)))
	})
	s.blocks.each(func(cidr netip.Prefix, row ipam.Row[block.Block]) {
		u := row.Value.Usage()
		line := fmt.Sprintf("block %s of %s%s: %d free, %d used, %d cooling",
			cidr, cmp.Or(row.Value.Affinity, "no node"), deleted(row.Deleted), u.Free, u.Used, u.Cooling)
		for _, h := range row.Value.HeldBy(anyOwner) {
			owner, _ := row.Value.Holder(h.Addr)
			line += fmt.Sprintf("; %s %s", h.Addr, owner.Handle)
		}
		out = append(out, line)
	})
	s.handles.each(func(id string, row ipam.Row[ipam.Handle]) {
		var counts []string
		for _, cidr := range slices.SortedFunc(maps.Keys(row.Value.Counts), netip.Prefix.Compare) {
			counts = append(counts, fmt.Sprintf("%d in %s", row.Value.Counts[cidr], cidr))
		}
		out = append(out, fmt.Sprintf("handle %s%s: %s", id, deleted(row.Deleted), strings.Join(counts, ", ")))
	})
	slices.Sort(out)
	return strings.Join(out, "\n")
}

func anyOwner(block.Attribute) bool { return true }

func deleted(marked bool) string {
	if marked {
		return " (deleted)"
	}
	return ""
}

// AllBlocks returns all blocks that are not marked as deleted.
func (s *Store) AllBlocks() map[netip.Prefix]block.Block {
	out := map[netip.Prefix]block.Block{}
	for cidr, row := range s.BlockRows() {
		out[cidr] = row.Value
	}
	return out
}

// BlockRows returns the rows of all blocks that are not marked as deleted.
func (s *Store) BlockRows() map[netip.Prefix]ipam.Row[block.Block] {
	rows := s.blocks.all()
	maps.DeleteFunc(rows, func(_ netip.Prefix, row ipam.Row[block.Block]) bool { return row.Deleted })
	return rows
}

// Check returns all violations of the invariants, which hold at any time, also between the writes of an operation:
//   - every block is well formed;
//   - an address is allocated once, in all blocks that contain it;
//   - a handle counts at least the addresses that are allocated under it, so that it leads to all of them;
//   - the block of a confirmed affinity exists and belongs to the affinity's node.
func (s *Store) Check() []string {
	c := check{
		handles: map[string]ipam.Row[ipam.Handle]{}, owners: map[netip.Prefix]string{},
		held: map[string]map[netip.Prefix]int{}, holders: map[netip.Addr]netip.Prefix{},
	}
	s.handles.each(func(id string, row ipam.Row[ipam.Handle]) { c.handles[id] = row })
	s.blocks.each(c.block)
	c.counts()
	s.affinities.each(c.affinity)
	slices.Sort(c.bad)
	return c.bad
}

// check collects violations.
type check struct {
	handles map[string]ipam.Row[ipam.Handle]
	owners  map[netip.Prefix]string
	// held counts the addresses of handles per block. holders has the block in which an address is allocated.
	held    map[string]map[netip.Prefix]int
	holders map[netip.Addr]netip.Prefix
	bad     []string
}

func (c *check) fail(format string, a ...any) { c.bad = append(c.bad, fmt.Sprintf(format, a...)) }

func (c *check) block(cidr netip.Prefix, row ipam.Row[block.Block]) {
	if err := row.Value.Validate(); err != nil {
		c.fail("%v", err)
		return
	}
	c.owners[cidr] = row.Value.Affinity
	for _, h := range row.Value.HeldBy(anyOwner) {
		owner, _ := row.Value.Holder(h.Addr)
		if c.held[owner.Handle] == nil {
			c.held[owner.Handle] = map[netip.Prefix]int{}
		}
		c.held[owner.Handle][cidr]++
		if other, ok := c.holders[h.Addr]; ok {
			a, b := cidr.String(), other.String()
			c.fail("%s is allocated in block %s and in block %s", h.Addr, min(a, b), max(a, b))
		}
		c.holders[h.Addr] = cidr
	}
}

func (c *check) counts() {
	for id, counts := range c.held {
		for cidr, n := range counts {
			if row := c.handles[id]; row.Value.Counts[cidr] < n || row.Deleted {
				c.fail("handle %s counts %d addresses in %s, but %d are allocated", id, row.Value.Counts[cidr], cidr, n)
			}
		}
	}
}

func (c *check) affinity(key ipam.AffinityKey, row ipam.Row[ipam.Affinity]) {
	if owner := c.owners[key.CIDR]; row.Value.State == ipam.Confirmed && !row.Deleted && owner != "host:"+key.Node {
		c.fail("affinity of %s for %s is confirmed, but the block belongs to %q", key.Node, key.CIDR, owner)
	}
}

// Overlaps returns the pairs of blocks that overlap.
func (s *Store) Overlaps() []string {
	var all []netip.Prefix
	s.blocks.each(func(cidr netip.Prefix, _ ipam.Row[block.Block]) { all = append(all, cidr) })
	slices.SortFunc(all, netip.Prefix.Compare)
	var out []string
	for i, cidr := range all {
		for _, other := range all[i+1:] {
			if cidr.Overlaps(other) {
				out = append(out, cidr.String()+" and "+other.String())
			}
		}
	}
	return out
}
