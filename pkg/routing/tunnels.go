// SPDX-License-Identifier: Apache-2.0

package routing

import (
	"net/netip"
	"slices"

	"calico-cni/pkg/model"
	"calico-cni/pkg/netstate"
)

// The names of the tunnel devices, which are Calico's.
const (
	DeviceVXLAN   = "vxlan.calico"
	DeviceVXLANv6 = "vxlan-v6.calico"
	DeviceIPIP    = "tunl0"
)

// family computes the network of one IP family.
type family struct {
	c    *computation
	f    model.Family
	self *model.NodeAddrs
	// link is the link with the address of this node.
	link string
	// vxlan and ipip are the tunnel devices that the state has. Their names are empty if it has none.
	vxlan, ipip netstate.Device
	// conflicting are the nodes that cannot take part in VXLAN because of another node.
	conflicting map[*model.Node]bool
	// guarded are the destinations that must get no route, because they contain the address of a node.
	guarded map[netip.Prefix]bool
	// waiting are the nodes or blocks without routes. outside are the blocks in no pool.
	waiting map[obstacle][]string
	outside []*model.Block
	// metric is that of all routes but those to local pods.
	metric int
}

func (c *computation) newFamily(f model.Family) *family {
	fam := &family{c: c, f: f, self: c.self.In(f), link: c.in.IPv4.Name, waiting: map[obstacle][]string{}}
	if f == model.IPv6 {
		fam.link, fam.metric = c.in.IPv6.Name, defaultMetricIPv6
	}
	if !fam.self.Addr.IsValid() {
		fam.link = ""
	}
	return fam
}

// addTunnels adds the tunnel devices, their peers and their filters.
func (f *family) addTunnels() {
	f.checkAddrs()
	cfg := &f.c.in.Config
	vxlan := tunnel{
		dev: DeviceVXLAN, kind: netstate.VXLAN, overhead: vxlanOverhead, configuredMTU: cfg.VXLANMTU,
		force: cfg.VXLAN, option: "spec.vxlanEnabled", addr: f.self.VXLAN,
		mode: func(p *model.Pool) model.Mode { return p.VXLAN },
	}
	if f.f == model.IPv6 {
		vxlan.dev, vxlan.overhead, vxlan.configuredMTU = DeviceVXLANv6, vxlanOverhead+20, cfg.VXLANMTUv6
		vxlan.force = Auto
	}
	if d, ok := f.device(vxlan); ok {
		f.vxlan = f.addVXLAN(d)
	}
	if f.f == model.IPv6 {
		return
	}
	ipip := tunnel{
		dev: DeviceIPIP, kind: netstate.IPIP, overhead: ipipOverhead, configuredMTU: cfg.IPIPMTU,
		force: cfg.IPIP, option: "spec.ipipEnabled", addr: f.c.self.IPIP,
		mode: func(p *model.Pool) model.Mode { return p.IPIP },
	}
	if d, ok := f.device(ipip); ok {
		f.ipip = f.addIPIP(d)
	}
}

// device returns the device of a tunnel, if the node needs it and can have it.
func (f *family) device(t tunnel) (netstate.Device, bool) {
	needed := f.firstPool(func(p *model.Pool) bool { return t.mode(p) != model.Never })
	if t.force == Off && needed != nil {
		f.c.find(model.KindFelix, "default", t.option,
			"the tunnel is forced off, but pool "+needed.Name+" needs it: pods on other nodes are not reached through it",
			"remove the field, or change the encapsulation of the pool")
	}
	if t.force == Off || t.force == Auto && needed == nil {
		return netstate.Device{}, false
	}
	mtu, ok := f.tunnelMTU(t)
	if !ok || f.link == "" {
		return netstate.Device{}, false
	}
	if !t.addr.IsValid() && needed != nil {
		f.reportNoTunnelAddr(t)
	}
	return netstate.Device{Name: t.dev, Kind: t.kind, MTU: mtu, Addr: t.addr}, true
}

func (f *family) reportNoTunnelAddr(t tunnel) {
	consequence := "VXLAN waits for it"
	if t.kind == netstate.IPIP {
		consequence = "the node itself reaches pods on other nodes with another source"
	}
	f.c.find(model.KindNode, f.c.in.Node, "", "the node has no address for "+t.dev+": "+consequence,
		"wait until the node has allocated one; it needs a pool with the use Tunnel that selects the node")
}

// addVXLAN adds a VXLAN device with its peers. Without an address there is no device.
func (f *family) addVXLAN(d netstate.Device) netstate.Device {
	if !d.Addr.IsValid() {
		return netstate.Device{}
	}
	cfg := &f.c.in.Config
	d.VXLAN = netstate.VXLANParams{
		VNI: cfg.VXLANVNI, Port: cfg.VXLANPort, Parent: f.link, Local: f.self.Addr.Addr(), MAC: f.self.MAC,
		NoChecksumOffload: !cfg.ChecksumOffload,
	}
	f.findConflicts()
	s := &f.c.out.State
	s.Devices = append(s.Devices, d)
	others := len(f.c.in.Nodes)
	s.Neighbours, s.FDB = slices.Grow(s.Neighbours, others), slices.Grow(s.FDB, others)
	senders := make([]netip.Prefix, 0, others)
	for i := range f.c.in.Nodes {
		n := &f.c.in.Nodes[i]
		if !f.takesPart(n) {
			continue
		}
		a := n.In(f.f)
		s.Neighbours = append(s.Neighbours, netstate.Neighbour{Dev: d.Name, Addr: a.VXLAN, MAC: a.MAC})
		s.FDB = append(s.FDB, netstate.FDBEntry{Dev: d.Name, MAC: a.MAC, Dst: a.Addr.Addr()})
		senders = append(senders, single(a.Addr.Addr()))
	}
	f.addFilter(d, cfg.VXLANPort, senders)
	return d
}

func (f *family) addIPIP(d netstate.Device) netstate.Device {
	f.c.out.State.Devices = append(f.c.out.State.Devices, d)
	f.addFilter(d, 0, f.nodeAddrs(nil))
	return d
}

// addFilter adds the senders of a tunnel device.
func (f *family) addFilter(d netstate.Device, port uint16, senders []netip.Prefix) {
	f.c.out.State.Filters = append(f.c.out.State.Filters, netstate.TunnelFilter{
		Dev: d.Name, Kind: d.Kind, Port: port, VNI: d.VXLAN.VNI, Senders: disjoint(append(senders, f.external()...)),
	})
}

// nodeAddrs appends the addresses of the other nodes.
func (f *family) nodeAddrs(list []netip.Prefix) []netip.Prefix {
	for i := range f.c.in.Nodes {
		if addr := f.c.in.Nodes[i].In(f.f).Addr.Addr(); addr.IsValid() && addr != f.self.Addr.Addr() {
			list = append(list, single(addr))
		}
	}
	return list
}

// external returns the configured hosts of the family.
func (f *family) external() (list []netip.Prefix) {
	for _, p := range f.c.in.Config.ExternalNodes {
		if p.IsValid() && p.Addr().BitLen() == f.f.Bits() {
			list = append(list, p.Masked())
		}
	}
	return list
}

// firstPool returns the pool of the family that is the first by name of those that match, or nil.
func (f *family) firstPool(match func(*model.Pool) bool) *model.Pool {
	var first *model.Pool
	for i := range f.c.in.Pools {
		p := &f.c.in.Pools[i]
		if p.CIDR.IsValid() && p.Family() == f.f && match(p) && (first == nil || p.Name < first.Name) {
			first = p
		}
	}
	return first
}
