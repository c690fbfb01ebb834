// SPDX-License-Identifier: Apache-2.0

package routing

import (
	"cmp"
	"net/netip"
	"slices"

	"calico-cni/pkg/model"
	"calico-cni/pkg/netstate"
)

// addNAT adds the translation of packets that leave the pools of the family, or that leave through a tunnel.
func (f *family) addNAT() {
	cfg := &f.c.in.Config.NAT
	var n netstate.FamilyNAT
	for i := range f.c.in.Pools {
		p := &f.c.in.Pools[i]
		if !p.CIDR.IsValid() || p.Family() != f.f {
			continue
		}
		if p.NATOutgoing {
			n.Sources = append(n.Sources, p.CIDR)
		}
		if forPods(p) {
			n.Exclusions = append(n.Exclusions, p.CIDR)
		}
	}
	if cfg.ExcludeNodes {
		n.Exclusions = append(f.nodeAddrs(n.Exclusions), f.external()...)
	}
	n.Sources, n.Exclusions = disjoint(n.Sources), disjoint(n.Exclusions)
	if len(n.Sources) == 0 {
		n.Exclusions = nil
	}
	if f.owns(cfg.Addr) {
		n.Addr = cfg.Addr
	}
	for _, d := range []netstate.Device{f.vxlan, f.ipip} {
		if d.Addr.IsValid() {
			n.Tunnels = append(n.Tunnels, netstate.TunnelSource{Dev: d.Name, Addr: d.Addr})
		}
	}
	if f.f == model.IPv4 {
		f.c.out.State.NAT.IPv4 = n
	} else {
		f.c.out.State.NAT.IPv6 = n
	}
}

// forPods reports whether pods may have addresses of a pool.
func forPods(p *model.Pool) bool { return p.Uses != model.UseLoadBalancer }

// finishNAT adds what is the same for both families.
func (c *computation) finishNAT() {
	n := &c.out.State.NAT
	n.Interface, n.Ports, n.ReservedPort = c.in.Config.NAT.Interface, c.in.Config.NAT.Ports, c.in.Config.VXLANPort
}

// disjoint sorts CIDRs and removes those that another one contains. It changes the list.
func disjoint(list []netip.Prefix) []netip.Prefix {
	slices.SortFunc(list, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	out := list[:0]
	for _, p := range list {
		if len(out) == 0 || !out[len(out)-1].Contains(p.Addr()) {
			out = append(out, p)
		}
	}
	return out
}
