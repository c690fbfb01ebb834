// SPDX-License-Identifier: Apache-2.0

package routing

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"calico-cni/pkg/model"
	"calico-cni/pkg/netstate"
)

// takesPart reports whether another node has what this one needs to reach it through VXLAN.
func (f *family) takesPart(n *model.Node) bool {
	a := n.In(f.f)
	return a.Addr.IsValid() && a.VXLAN.IsValid() && a.Addr.Addr() != f.self.Addr.Addr() && !f.conflicting[n]
}

// checkAddrs reports nodes that have the same address.
func (f *family) checkAddrs() {
	for addr, nodes := range groups(f.c.in.Nodes, func(n *model.Node) (netip.Addr, bool) {
		a := n.In(f.f).Addr
		return a.Addr(), a.IsValid()
	}) {
		consequence := "their pods are not all reachable"
		if slices.Contains(nodes, f.c.self) {
			consequence = "this node receives the packets for all of them"
		}
		f.c.find(model.KindNode, nodes[0].Name, "", fmt.Sprintf("nodes %s have the same address %s: %s",
			joinNodes(nodes), addr, consequence),
			"delete the Node objects of nodes that no longer exist, or correct the detection of addresses "+
				"(IP_AUTODETECTION_METHOD)")
	}
}

// findConflicts finds the nodes whose tunnel address or MAC is also that of another node. Only one of them can take
// part in VXLAN: this node, else the one that uses the address according to IPAM, else the first by name.
func (f *family) findConflicts() {
	f.conflicting = map[*model.Node]bool{}
	for addr, nodes := range groups(f.c.in.Nodes, func(n *model.Node) (netip.Addr, bool) {
		return n.In(f.f).VXLAN, n == f.c.self || f.takesPart(n)
	}) {
		f.conflict(nodes, f.c.userOf(addr), "the VXLAN tunnel address "+addr.String(),
			"remove the annotation of the tunnel address from the other nodes: calico-node allocates new addresses")
	}
	for mac, nodes := range groups(f.c.in.Nodes, func(n *model.Node) (netstate.MAC, bool) {
		return n.In(f.f).MAC, n == f.c.self || f.takesPart(n)
	}) {
		f.conflict(nodes, "", "the MAC "+mac.String()+" of the VXLAN device",
			"remove the annotation with the MAC from the other nodes")
	}
}

// conflict keeps one of the nodes that have the same value. The nodes are sorted.
func (f *family) conflict(nodes []*model.Node, user, what, remedy string) {
	kept := nodes[0]
	for _, n := range nodes {
		if n.Name == user {
			kept = n
		}
	}
	if slices.Contains(nodes, f.c.self) {
		kept = f.c.self
	}
	for _, n := range nodes {
		if n != kept {
			f.conflicting[n] = true
		}
	}
	f.c.find(model.KindNode, kept.Name, "", fmt.Sprintf("nodes %s have the same value for %s: only %s takes part in VXLAN",
		joinNodes(nodes), what, kept.Name), remedy)
}

// groups returns the nodes that have the same value, for each value that more than one node has. The nodes of a group
// are sorted by name.
func groups[K comparable](nodes []model.Node, key func(*model.Node) (K, bool)) map[K][]*model.Node {
	first := make(map[K]*model.Node, len(nodes))
	var shared map[K][]*model.Node
	for i := range nodes {
		n := &nodes[i]
		k, ok := key(n)
		if !ok {
			continue
		}
		other, taken := first[k]
		if !taken {
			first[k] = n
			continue
		}
		if shared == nil {
			shared = map[K][]*model.Node{}
		}
		if len(shared[k]) == 0 {
			shared[k] = []*model.Node{other}
		}
		shared[k] = append(shared[k], n)
	}
	for _, list := range shared {
		slices.SortFunc(list, func(a, b *model.Node) int { return strings.Compare(a.Name, b.Name) })
	}
	return shared
}
