// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"net/netip"

	"calico-cni/pkg/agent/config"
	"calico-cni/pkg/agent/kernel/nat"
	"calico-cni/pkg/agent/kernel/nft"
	"calico-cni/pkg/netstate"
)

// natConfig returns the input of the driver of address translation.
func natConfig(s netstate.State, c config.Config) nat.Config {
	n := s.NAT
	out := nat.Config{
		V4: natFamily(n.IPv4), V6: natFamily(n.IPv6), Ports: nft.Ports{Min: n.Ports.First, Max: n.Ports.Last},
		OutInterface: n.Interface, Workloads: c.Interfaces.Prefixes, ReservedPort: n.ReservedPort,
	}
	for _, t := range append(n.IPv4.Tunnels, n.IPv6.Tunnels...) {
		out.Tunnels = append(out.Tunnels, t.Dev)
	}
	for _, f := range s.Filters {
		nodes, external := split(f.Senders)
		family := &out.V4
		if isIPv6(s.Devices, f.Dev) {
			family = &out.V6
		}
		family.ExternalSenders = external
		if f.Kind == netstate.IPIP {
			out.IPIP, family.IPIPSenders = true, nodes
			continue
		}
		out.VXLAN = &nat.VXLAN{Port: f.Port, VNI: uint32(c.Overlay.VXLANVNI)} //nolint:gosec // At most 2^24-1.
		family.VXLANSenders = nodes
	}
	return out
}

func natFamily(f netstate.FamilyNAT) nat.Family {
	return nat.Family{Outgoing: f.Sources, Pools: f.Exclusions, Source: f.Addr}
}

// split separates single addresses from networks.
func split(all []netip.Prefix) (single []netip.Addr, networks []netip.Prefix) {
	for _, p := range all {
		if p.IsSingleIP() {
			single = append(single, p.Addr())
		} else {
			networks = append(networks, p)
		}
	}
	return single, networks
}

// isIPv6 reports whether a tunnel device has an IPv6 underlay.
func isIPv6(devices []netstate.Device, name string) bool {
	for _, d := range devices {
		if d.Name == name {
			return d.VXLAN.Local.Is6()
		}
	}
	return false
}
