// SPDX-License-Identifier: Apache-2.0

package netstate

import "net/netip"

// NAT describes how the node translates the source of packets that leave the pools.
type NAT struct {
	IPv4, IPv6 FamilyNAT
	// Interface limits the translation of outgoing traffic to one outgoing link. A trailing "+" matches any suffix. It is
	// empty if there is no limit.
	Interface string
	// Ports are the source ports of translated TCP and UDP packets. The zero value leaves the choice to the kernel.
	Ports PortRange
	// ReservedPort is the UDP port of VXLAN. No packet is translated to it, because its source could then not be told from
	// a tunnel.
	ReservedPort uint16
}

// FamilyNAT is the part of NAT for one IP family. No two CIDRs of a list overlap, and the lists are sorted.
type FamilyNAT struct {
	// Sources are the pools whose outgoing packets are translated.
	Sources []netip.Prefix
	// Exclusions are the destinations that see the address of the pod.
	Exclusions []netip.Prefix
	// Addr is the translated source. The zero value means the address of the outgoing link.
	Addr netip.Addr
	// Tunnels are the tunnel devices with an address. A packet of the node that leaves through one of them with another
	// source is translated to the address of the device.
	Tunnels []TunnelSource
}

// TunnelSource is a tunnel device and its address.
type TunnelSource struct {
	Dev  string
	Addr netip.Addr
}

// PortRange is a range of ports, both included.
type PortRange struct{ First, Last uint16 }

// TunnelFilter lists who may send to a tunnel device. The node drops encapsulated packets of other senders. The device
// is the key.
type TunnelFilter struct {
	Dev  string
	Kind Kind
	// Port is the UDP port of VXLAN. It is 0 for IPIP.
	Port uint16
	// VNI identifies the packets of the device among those that arrive at the port. It is 0 for IPIP.
	VNI int
	// Senders are the addresses of other hosts. No two CIDRs overlap, and the list is sorted.
	Senders []netip.Prefix
}
