// SPDX-License-Identifier: Apache-2.0

package routing

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"calico-cni/pkg/model"
)

// world is a cluster: the objects in the API, and what each node has.
type world struct {
	nodes  []model.Node
	pools  []model.Pool
	blocks map[netip.Prefix]*model.Block
	// pods has the addresses of the pods on each node.
	pods map[string][]netip.Addr
	// unlinked are the families of nodes whose address is on no link.
	unlinked map[string]model.Family
}

// input returns the input of one node.
func (w *world) input(name string) Input {
	in := Input{
		Node: name, Nodes: slices.Clone(w.nodes), Pools: slices.Clone(w.pools),
		IPv4: Link{"eth0", 1500}, IPv6: Link{"eth0", 1500}, Config: DefaultConfig(),
	}
	for _, b := range w.blocks {
		c := *b
		c.Borrowed = slices.Clone(b.Borrowed)
		slices.SortFunc(c.Borrowed, func(a, b model.Borrowed) int { return a.Addr.Compare(b.Addr) })
		in.Blocks = append(in.Blocks, c)
	}
	slices.SortFunc(in.Blocks, func(a, b model.Block) int { return a.CIDR.Compare(b.CIDR) })
	for i, addr := range w.pods[name] {
		in.Endpoints = append(in.Endpoints, Endpoint{fmt.Sprintf("cali%d", i), i, []netip.Addr{addr}})
	}
	switch w.unlinked[name] {
	case model.IPv4:
		in.IPv4 = Link{}
	case model.IPv6:
		in.IPv6 = Link{}
	}
	return in
}

// String describes the cluster.
func (w *world) String() string {
	var lines []string
	for _, n := range w.nodes {
		lines = append(lines, fmt.Sprintf("%s %s %s vxlan %s %s ipip %s pods %v unlinked %d", n.Name, n.IPv4.Addr, n.IPv6.Addr,
			n.IPv4.VXLAN, n.IPv6.VXLAN, n.IPIP, w.pods[n.Name], w.unlinked[n.Name]))
	}
	for _, p := range w.pools {
		lines = append(lines, fmt.Sprintf("%s %s vxlan %d ipip %d", p.Name, p.CIDR, p.VXLAN, p.IPIP))
	}
	for _, b := range w.blocks {
		lines = append(lines, fmt.Sprintf("block %s %s %v", b.CIDR, b.Node, b.Borrowed))
	}
	return strings.Join(lines, "\n")
}

func (w *world) node(name string) *model.Node {
	for i := range w.nodes {
		if w.nodes[i].Name == name {
			return &w.nodes[i]
		}
	}
	return nil
}

// drawWorld draws a cluster without contradictions. Addresses may be missing, and blocks may belong to no node, or to
// one that is gone.
func drawWorld(t *rapid.T) *world {
	w := &world{
		blocks: map[netip.Prefix]*model.Block{}, pods: map[string][]netip.Addr{}, unlinked: map[string]model.Family{},
	}
	for i := range rapid.IntRange(1, 5).Draw(t, "nodes") {
		w.nodes = append(w.nodes, drawNode(t, i))
	}
	drawPools(t, w)
	for i := range w.pools {
		w.drawBlocks(t, &w.pools[i])
	}
	w.drawTunnelAddrs(t)
	for _, n := range w.nodes {
		if rapid.IntRange(0, 9).Draw(t, "unlinked") == 0 {
			w.unlinked[n.Name] = rapid.SampledFrom([]model.Family{model.IPv4, model.IPv6}).Draw(t, "family")
		}
	}
	return w
}

// drawNode draws a node in one of three subnets. Some nodes think that they are alone in their subnet.
func drawNode(t *rapid.T, i int) model.Node {
	name := fmt.Sprintf("node-%d", i)
	subnet := rapid.IntRange(0, 2).Draw(t, "subnet")
	var fields []string
	if often(t, "IPv4") {
		bits := rapid.SampledFrom([]int{24, 24, 24, 32, 16}).Draw(t, "bits")
		fields = append(fields, fmt.Sprintf("IPv4Address=172.16.%d.%d/%d", subnet, i+1, bits))
	}
	if often(t, "IPv6") {
		bits := rapid.SampledFrom([]int{64, 64, 64, 128}).Draw(t, "bits")
		fields = append(fields, fmt.Sprintf("IPv6Address=2001:db8:0:%d::%d/%d", subnet, i+1, bits))
	}
	return node(name, fields...)
}

func often(t *rapid.T, what string) bool { return rapid.IntRange(0, 5).Draw(t, what) > 0 }

// drawPools draws pools, some of them inside of others.
func drawPools(t *rapid.T, w *world) {
	for i, cidr := range []string{"10.1.0.0/24", "10.2.0.0/24", "10.1.0.64/26", "fd00:1::/120", "fd00:2::/120"} {
		if !rapid.Bool().Draw(t, cidr) {
			continue
		}
		options := []string{"none", "vxlan", "vxlan-cross", "ipip", "ipip-cross"}
		if i >= 3 {
			options = options[:3]
		}
		mode := rapid.SampledFrom(options).Draw(t, "mode")
		p := pool(fmt.Sprintf("pool-%d", i), cidr)
		if mode != "none" {
			p = pool(p.Name, cidr, mode)
		}
		w.pools = append(w.pools, p)
	}
}

// drawBlocks draws blocks of sixteen addresses or of one address, and pods with addresses from them.
func (w *world) drawBlocks(t *rapid.T, p *model.Pool) {
	for range rapid.IntRange(0, 4).Draw(t, "blocks") {
		bits := p.Family().Bits() - rapid.SampledFrom([]int{4, 4, 0}).Draw(t, "block bits")
		offset := rapid.IntRange(0, 63).Draw(t, "offset")
		cidr := netip.PrefixFrom(plus(p.CIDR.Addr(), offset), bits).Masked()
		if slices.ContainsFunc(slices.Collect(maps.Keys(w.blocks)), cidr.Overlaps) {
			continue
		}
		w.blocks[cidr] = &model.Block{CIDR: cidr, Node: w.drawName(t)}
		for range rapid.IntRange(0, 3).Draw(t, "pods") {
			user := w.drawUser(t, w.blocks[cidr].Node)
			addr, ok := w.allocate(t, cidr, user)
			if ok && rapid.IntRange(0, 4).Draw(t, "pod is up") > 0 {
				w.pods[user] = append(w.pods[user], addr)
			}
		}
	}
}

// drawName draws the node of a block: mostly one of the cluster.
func (w *world) drawName(t *rapid.T) string {
	switch rapid.IntRange(0, 9).Draw(t, "owner") {
	case 0:
		return ""
	case 1:
		return "gone"
	}
	return rapid.SampledFrom(w.nodes).Draw(t, "node").Name
}

// drawUser draws the node that uses an address: mostly that of the block.
func (w *world) drawUser(t *rapid.T, owner string) string {
	if w.node(owner) != nil && rapid.IntRange(0, 2).Draw(t, "borrow") > 0 {
		return owner
	}
	return rapid.SampledFrom(w.nodes).Draw(t, "user").Name
}

// allocate takes an address of a block that nobody uses.
func (w *world) allocate(t *rapid.T, cidr netip.Prefix, user string) (netip.Addr, bool) {
	size := 1 << (cidr.Addr().BitLen() - cidr.Bits())
	addr := plus(cidr.Addr(), rapid.IntRange(0, size-1).Draw(t, "ordinal"))
	b := w.blocks[cidr]
	for _, n := range w.nodes {
		if slices.Contains([]netip.Addr{n.IPIP, n.IPv4.VXLAN, n.IPv6.VXLAN}, addr) {
			return addr, false
		}
	}
	for _, pods := range w.pods {
		if slices.Contains(pods, addr) {
			return addr, false
		}
	}
	if slices.ContainsFunc(b.Borrowed, func(b model.Borrowed) bool { return b.Addr == addr }) {
		return addr, false
	}
	if user != b.Node {
		b.Borrowed = append(b.Borrowed, model.Borrowed{Addr: addr, Node: user})
	}
	return addr, true
}

// drawTunnelAddrs gives most nodes tunnel addresses from any block.
func (w *world) drawTunnelAddrs(t *rapid.T) {
	cidrs := slices.SortedFunc(maps.Keys(w.blocks), netip.Prefix.Compare)
	if len(cidrs) == 0 {
		return
	}
	for i := range w.nodes {
		n := &w.nodes[i]
		for _, target := range []*netip.Addr{&n.IPv4.VXLAN, &n.IPv6.VXLAN, &n.IPIP} {
			cidr := rapid.SampledFrom(cidrs).Draw(t, "tunnel block")
			if cidr.Addr().Is6() != (target == &n.IPv6.VXLAN) || !often(t, "tunnel") {
				continue
			}
			if addr, ok := w.allocate(t, cidr, n.Name); ok {
				*target = addr
			}
		}
	}
}

// plus returns the address that is n after another.
func plus(addr netip.Addr, n int) netip.Addr {
	b := addr.AsSlice()
	for i := len(b) - 1; n > 0; i-- {
		n += int(b[i])
		b[i] = byte(n)
		n >>= 8
	}
	out, _ := netip.AddrFromSlice(b)
	return out
}
