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

// String shows every row of the store, sorted, in lines that a person can read and a test can compare.
func (s *Store) String() string {
	var out []string
	for key, row := range s.affinities.all() {
		out = append(out, fmt.Sprintf("affinity %s %s %s%s", key.Node, key.CIDR, row.Value.State, deleted(row.Deleted)))
	}
	for cidr, row := range s.blocks.all() {
		u := row.Value.Usage()
		line := fmt.Sprintf("block %s of %s%s: %d free, %d used, %d cooling", cidr, cmp.Or(row.Value.Affinity, "nobody"), deleted(row.Deleted), u.Free, u.Used, u.Cooling)
		for _, h := range row.Value.HeldBy(func(block.Attribute) bool { return true }) {
			owner, _ := row.Value.Holder(h.Addr)
			line += fmt.Sprintf("; %s %s", h.Addr, owner.Handle)
		}
		out = append(out, line)
	}
	for id, row := range s.handles.all() {
		var counts []string
		for _, cidr := range slices.SortedFunc(maps.Keys(row.Value.Counts), netip.Prefix.Compare) {
			counts = append(counts, fmt.Sprintf("%d in %s", row.Value.Counts[cidr], cidr))
		}
		out = append(out, fmt.Sprintf("handle %s%s: %s", id, deleted(row.Deleted), strings.Join(counts, ", ")))
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

func deleted(yes bool) string {
	if yes {
		return " (deletion begun)"
	}
	return ""
}

// AllBlocks returns every block whose deletion has not begun.
func (s *Store) AllBlocks() map[netip.Prefix]block.Block {
	out := map[netip.Prefix]block.Block{}
	for cidr, row := range s.blocks.all() {
		if !row.Deleted {
			out[cidr] = row.Value
		}
	}
	return out
}

// Check returns every breach of what must hold at any moment, also between the writes of an operation:
// each block is well formed; an address has one holder, also where blocks overlap; a handle counts at least what its
// blocks hold; a confirmed affinity has its block, and that block is of its node.
func (s *Store) Check() []string {
	var bad []string
	handles, held := s.handles.all(), map[string]map[netip.Prefix]int{}
	blocks := s.blocks.all()
	for cidr, row := range blocks {
		if err := row.Value.Validate(); err != nil {
			bad = append(bad, err.Error())
		}
		for other := range blocks {
			if other != cidr && other.Overlaps(cidr) {
				bad = append(bad, heldTwice(row.Value, blocks[other].Value)...)
			}
		}
		for _, h := range row.Value.HeldBy(func(block.Attribute) bool { return true }) {
			owner, _ := row.Value.Holder(h.Addr)
			if held[owner.Handle] == nil {
				held[owner.Handle] = map[netip.Prefix]int{}
			}
			held[owner.Handle][cidr]++
		}
	}
	for id, counts := range held {
		for cidr, n := range counts {
			if counted := handles[id].Value.Counts[cidr]; counted < n || handles[id].Deleted {
				bad = append(bad, fmt.Sprintf("handle %s counts %d in %s, which holds %d for it", id, counted, cidr, n))
			}
		}
	}
	for key, row := range s.affinities.all() {
		owner := blocks[key.CIDR].Value.Affinity
		if row.Value.State == ipam.Confirmed && !row.Deleted && owner != "host:"+key.Node {
			bad = append(bad, fmt.Sprintf("affinity of %s to %s is confirmed, but the block is of %q", key.Node, key.CIDR, owner))
		}
	}
	slices.Sort(bad)
	return bad
}

// heldTwice returns the addresses that are held in each of two blocks that overlap.
func heldTwice(a, b block.Block) (bad []string) {
	for _, h := range a.HeldBy(func(block.Attribute) bool { return true }) {
		if owner, ok := b.Holder(h.Addr); ok && owner.Handle != "" {
			bad = append(bad, fmt.Sprintf("%s is held in %s and in %s", h.Addr, a.CIDR, b.CIDR))
		}
	}
	return bad
}
