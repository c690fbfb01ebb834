// SPDX-License-Identifier: Apache-2.0

package routing

import (
	"cmp"
	"net/netip"

	"calico-cni/pkg/model"
	"calico-cni/pkg/netstate"
)

// lastMetric is the metric of a blackhole that must not hide a route to a pod.
const lastMetric = 1<<31 - 1

// defaultMetricIPv6 is the metric that the kernel gives an IPv6 route with metric 0.
const defaultMetricIPv6 = 1024

// addBlocks adds the routes to blocks, and to addresses that have routes of their own.
func (f *family) addBlocks() {
	f.guarded = f.destsOfNodes()
	s := &f.c.out.State
	if s.Routes == nil {
		s.Routes = make([]netstate.Route, 0, len(f.c.in.Blocks)+len(f.c.uses)+len(f.c.local))
	}
	for i := range f.c.in.Blocks {
		b := &f.c.in.Blocks[i]
		if !f.owns(b.CIDR.Addr()) {
			continue
		}
		pool, ok := f.c.poolOf(b.CIDR)
		switch {
		case !ok:
			f.outside = append(f.outside, b)
		case b.Node != "" && !b.CIDR.IsSingleIP():
			f.addDest(b.CIDR, b.Node, pool, f.metric)
		}
	}
	// An address of this node gets a blackhole with the last metric, which does not hide the route to its pod. Without
	// it, packets to a borrowed address would loop while no pod has it: this node would send them to the node of the
	// block, which would send them back.
	for addr, u := range f.c.uses {
		if _, local := f.c.local[addr]; !f.owns(addr) || u.node == "" || local && !f.isHere(u.node, f.c.nodes[u.node]) {
			continue
		}
		if pool, ok := f.c.poolOf(single(addr)); ok {
			f.addDest(single(addr), u.node, pool, lastMetric)
		}
	}
}

// owns reports whether an address is of the family.
func (f *family) owns(addr netip.Addr) bool { return addr.BitLen() == f.f.Bits() }

// addDest adds the route to addresses of a node: to another node, or a blackhole with a metric if the node is this one.
func (f *family) addDest(dest netip.Prefix, node string, pool *model.Pool, metric int) {
	n := f.c.nodes[node]
	switch {
	case f.fromBGP(pool):
	case f.guarded[dest]:
		f.wait(pool, containsNode, dest.String())
	case f.isHere(node, n):
		f.addRoute(netstate.Route{
			Dest: dest, Type: netstate.Blackhole, Metric: metric, Protocol: f.c.in.Config.clusterProtocol(),
		})
	case n == nil:
		f.wait(pool, noNode, node)
	default:
		f.addRemote(dest, n, pool)
	}
}

// isHere reports whether other nodes send the packets for a node to this one: it is this node, or it has the same
// address.
func (f *family) isHere(name string, n *model.Node) bool {
	return name == f.c.in.Node ||
		n != nil && f.self.Addr.IsValid() && n.In(f.f).Addr.Addr() == f.self.Addr.Addr()
}

// fromBGP reports whether the routes of a pool come from BGP, so that none are added here.
func (f *family) fromBGP(p *model.Pool) bool {
	if p.IPIP != model.Never {
		return f.c.in.Config.BGP.IPIP
	}
	return p.VXLAN == model.Never && f.c.in.Config.BGP.Unencapsulated
}

func (f *family) addRoute(r netstate.Route) {
	f.c.out.State.Routes = append(f.c.out.State.Routes, r)
}

// addRemote adds the route to addresses of another node, or notes why there is none.
func (f *family) addRemote(dest netip.Prefix, n *model.Node, pool *model.Pool) {
	addr := n.In(f.f).Addr.Addr()
	switch {
	case !addr.IsValid():
		f.wait(pool, noAddress, n.Name)
	case f.link == "":
	case f.direct(pool) && f.self.Addr.Masked().Contains(addr):
		f.addDirect(dest, addr)
	case pool.VXLAN != model.Never:
		f.addOverVXLAN(dest, n, pool)
	case pool.IPIP != model.Never:
		f.addOverIPIP(dest, addr)
	case !f.c.in.Config.BGP.CrossSubnet:
		f.wait(pool, otherSubnet, n.Name)
	}
}

// direct reports whether a pool uses no encapsulation within a subnet.
func (f *family) direct(p *model.Pool) bool { return p.VXLAN != model.Always && p.IPIP != model.Always }

func (f *family) addDirect(dest netip.Prefix, via netip.Addr) {
	f.addRoute(netstate.Route{
		Dest: dest, Type: netstate.Unicast, Dev: f.link, Via: via, OnLink: true, Metric: f.metric,
		Protocol: f.c.in.Config.clusterProtocol(),
	})
}

func (f *family) addOverVXLAN(dest netip.Prefix, n *model.Node, pool *model.Pool) {
	a := n.In(f.f)
	if !a.VXLAN.IsValid() {
		f.wait(pool, noVXLANAddress, n.Name)
		return
	}
	if f.conflicting[n] {
		f.wait(pool, conflictingVXLAN, n.Name)
		return
	}
	if f.vxlan.Name == "" {
		return
	}
	r := netstate.Route{
		Dest: dest, Type: netstate.Unicast, Dev: f.vxlan.Name, Via: a.VXLAN, OnLink: true, MTU: f.vxlan.MTU,
		Metric: f.metric, Protocol: f.c.in.Config.DeviceProtocol,
	}
	if dest == single(a.VXLAN) {
		// The next hop would be the destination itself.
		r.Via, r.OnLink, r.MTU = netip.Addr{}, false, 0
	}
	f.addRoute(r)
}

func (f *family) addOverIPIP(dest netip.Prefix, via netip.Addr) {
	if f.ipip.Name == "" {
		return
	}
	f.addRoute(netstate.Route{
		Dest: dest, Type: netstate.Unicast, Dev: f.ipip.Name, Via: via, OnLink: true, MTU: f.ipip.MTU, Metric: f.metric,
		Protocol: f.c.in.Config.clusterProtocol(),
	})
}

// destsOfNodes returns the destinations that contain the address of a node. A route to them would cut the node off.
func (f *family) destsOfNodes() map[netip.Prefix]bool {
	var found map[netip.Prefix]bool
	for i := range f.c.in.Nodes {
		addr := f.c.in.Nodes[i].In(f.f).Addr.Addr()
		if !addr.IsValid() {
			continue
		}
		if _, ok := f.c.poolOf(single(addr)); !ok {
			continue
		}
		if found == nil {
			found = map[netip.Prefix]bool{}
		}
		found[single(addr)] = true
		for _, bits := range f.c.blocks().lengths {
			if cidr, err := addr.Prefix(bits); err == nil {
				found[cidr] = true
			}
		}
	}
	return found
}

// addEndpoints adds the routes to local pods.
func (c *computation) addEndpoints() {
	cfg := &c.in.Config
	for addr, e := range c.local {
		if !addr.IsValid() || addr.Is4In6() || addr.Zone() != "" {
			continue
		}
		r := netstate.Route{
			Dest: single(addr), Type: netstate.Unicast, Dev: e.Interface, Src: cfg.SourceIPv4, Metric: cfg.MetricIPv4,
			Protocol: cfg.DeviceProtocol,
		}
		if addr.Is6() {
			r.Src, r.Metric = cfg.SourceIPv6, cmp.Or(cfg.MetricIPv6, defaultMetricIPv6)
		}
		c.out.State.Routes = append(c.out.State.Routes, r)
	}
}
