// SPDX-License-Identifier: Apache-2.0

package routing

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"calico-cni/pkg/model"
	"calico-cni/pkg/netstate"
)

// reachable is the specification, for a cluster without contradictions: whether a pod or a tunnel address on one node
// is reached from another one. A node that has no route to a borrowed address sends the packet to the node of the block,
// which passes it on.
func (w *world) reachable(from, to string, dst netip.Addr) bool {
	if from == to {
		return true
	}
	if how := w.way(from, to, dst); how != none {
		return how == direct || w.unlinked[to] != familyOf(dst) // A tunnel needs a device at both ends.
	}
	for _, b := range w.blocks {
		if b.CIDR.Contains(dst) && !b.CIDR.IsSingleIP() && b.Node != from && b.Node != to && w.node(b.Node) != nil {
			return w.way(from, b.Node, dst) != none && w.reachable(from, b.Node, dst) && w.reachable(b.Node, to, dst)
		}
	}
	return false
}

// way is how packets travel from one node to another.
type way int

const (
	none way = iota
	direct
	vxlan
	ipip
)

// way returns how a node sends packets for an address to another node.
func (w *world) way(from, to string, dst netip.Addr) way {
	family := familyOf(dst)
	a, b := w.node(from).In(family), w.node(to).In(family)
	if !a.Addr.IsValid() || !b.Addr.IsValid() || w.unlinked[from] == family {
		return none
	}
	p := w.poolOf(dst)
	sameSubnet := a.Addr.Masked().Contains(b.Addr.Addr())
	switch {
	case sameSubnet && p.VXLAN != model.Always && p.IPIP != model.Always:
		return direct
	case p.VXLAN != model.Never && a.VXLAN.IsValid() && b.VXLAN.IsValid():
		return vxlan
	case p.IPIP != model.Never:
		return ipip
	}
	return none
}

func familyOf(addr netip.Addr) model.Family {
	if addr.Is6() {
		return model.IPv6
	}
	return model.IPv4
}

// poolOf returns the smallest pool with an address.
func (w *world) poolOf(addr netip.Addr) (found model.Pool) {
	for _, p := range w.pools {
		if p.CIDR.Contains(addr) && (found.Name == "" || p.CIDR.Bits() > found.CIDR.Bits()) {
			found = p
		}
	}
	return found
}

// A packet from any node to any pod arrives exactly if the specification says so. Packets to free addresses reach no
// node, and none loops.
func TestPacketsReachPods(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		n := w.network()
		where := map[netip.Addr]string{}
		for name, addrs := range w.pods {
			for _, addr := range addrs {
				where[addr] = name
			}
		}
		for name, s := range n.states {
			for _, d := range s.Devices {
				if d.Addr.IsValid() {
					where[d.Addr] = name
				}
			}
		}
		for _, node := range w.nodes {
			for _, dst := range w.addresses() {
				got, err := n.send(node.Name, dst)
				if err != nil {
					t.Fatal(err)
				}
				to, used := where[dst]
				want := used && w.reachable(node.Name, to, dst)
				if want && got != to || !want && w.node(got) != nil {
					t.Errorf("packet from %s to %s (on %q, reachable: %v) ends at %q\n%s:\n%s\n%s", node.Name, dst, to, want, got,
						node.Name, text(n.states[node.Name]), w)
				}
			}
		}
	})
}

// addresses returns the addresses to try: all of each block, and those around.
func (w *world) addresses() (list []netip.Addr) {
	for cidr := range w.blocks {
		addr := cidr.Addr()
		for range 17 {
			list = append(list, addr)
			addr = addr.Next()
		}
	}
	slices.SortFunc(list, netip.Addr.Compare)
	return list
}

// A cluster with contradictions loses packets, but none loops, leaves a subnet without encapsulation, or enters a
// tunnel twice.
func TestContradictionsCauseNoLoops(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		for range rapid.IntRange(1, 5).Draw(t, "contradictions") {
			w.contradict(t)
		}
		n := w.network()
		for _, node := range w.nodes {
			checkKeys(t, node.Name, n.states[node.Name])
			for _, dst := range w.addresses() {
				if _, err := n.send(node.Name, dst); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// contradict makes one thing wrong.
func (w *world) contradict(t *rapid.T) {
	a := &w.nodes[rapid.IntRange(0, len(w.nodes)-1).Draw(t, "a")]
	b := &w.nodes[rapid.IntRange(0, len(w.nodes)-1).Draw(t, "b")]
	all := append(w.addresses(), netip.MustParseAddr("10.9.9.9"), netip.MustParseAddr("fd00:9::9"))
	addr := rapid.SampledFrom(all).Draw(t, "address")
	family := familyOf(addr)
	switch rapid.IntRange(0, 6).Draw(t, "contradiction") {
	case 0:
		a.IPv4.Addr, a.IPv6.Addr = b.IPv4.Addr, b.IPv6.Addr
	case 1:
		a.IPv4.VXLAN, a.IPv6.VXLAN = b.IPv4.VXLAN, b.IPv6.VXLAN
	case 2:
		a.IPv4.MAC, a.IPv6.MAC = b.IPv4.MAC, b.IPv6.MAC
	case 3:
		a.In(family).Addr = netip.PrefixFrom(addr, family.Bits()-8) // A node in a pool.
	case 4:
		w.pods[a.Name] = append(w.pods[a.Name], addr)
	case 5:
		cidr := netip.PrefixFrom(addr, family.Bits()-rapid.IntRange(0, 8).Draw(t, "bits")).Masked()
		w.blocks[cidr] = &model.Block{CIDR: cidr, Node: a.Name, Borrowed: []model.Borrowed{{Addr: addr, Node: b.Name}}}
	case 6:
		a.In(family).VXLAN = addr
	}
}

// checkKeys fails if two elements have the same key, or an element is not valid.
func checkKeys(t *rapid.T, name string, s netstate.State) {
	seen := map[string]bool{}
	add := func(key string) {
		if seen[key] {
			t.Fatalf("%s: %s is twice in the state:\n%s", name, key, text(s))
		}
		seen[key] = true
	}
	for _, d := range s.Devices {
		add("device " + d.Name)
	}
	for _, r := range s.Routes {
		add(fmt.Sprintf("route %s metric %d", r.Dest, r.Metric))
		if r.Dest != r.Dest.Masked() {
			t.Fatalf("%s: %s has host bits", name, r)
		}
	}
	for _, n := range s.Neighbours {
		add("neighbour " + n.Dev + n.Addr.String())
	}
	for _, e := range s.FDB {
		add("fdb " + e.Dev + e.MAC.String())
	}
	for _, f := range s.Filters {
		add("filter " + f.Dev)
		for i, p := range f.Senders {
			if slices.ContainsFunc(f.Senders[:i], p.Overlaps) {
				t.Fatalf("%s: senders overlap: %v", name, f.Senders)
			}
		}
	}
}

// The order of the input has no influence, and the input is not changed.
func TestOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		for range rapid.IntRange(0, 3).Draw(t, "contradictions") {
			w.contradict(t)
		}
		name := w.nodes[0].Name
		in := w.input(name)
		first := Compute(in)
		before := fmt.Sprint(in)
		if after := fmt.Sprint(w.input(name)); after != before {
			t.Fatalf("the input changed:\n%s\n%s", before, after)
		}
		other := in
		other.Nodes = rapid.Permutation(in.Nodes).Draw(t, "nodes")
		other.Pools = rapid.Permutation(in.Pools).Draw(t, "pools")
		other.Blocks = rapid.Permutation(in.Blocks).Draw(t, "blocks")
		other.Endpoints = rapid.Permutation(in.Endpoints).Draw(t, "endpoints")
		second := Compute(other)
		if a, b := text(first.State), text(second.State); a != b {
			t.Fatalf("states differ:\n%s\n\n%s", a, b)
		}
		if a, b := findingTexts(first.Findings), findingTexts(second.Findings); a != b {
			t.Fatalf("findings differ:\n%s\n\n%s", a, b)
		}
		if first.MTU != second.MTU {
			t.Fatalf("MTUs differ: %v %v", first.MTU, second.MTU)
		}
	})
}
