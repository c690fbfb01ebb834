// SPDX-License-Identifier: Apache-2.0

package nat

import (
	"net/netip"

	"calico-cni/pkg/agent/kernel/nft"
)

// Config says which packets the node translates, and which packets of tunnels it drops. The zero value needs nothing.
type Config struct {
	V4, V6 Family
	// Ports are the source ports of translated TCP and UDP packets. The zero value leaves them to the kernel.
	Ports nft.Ports
	// OutInterface limits the translation of pod addresses to packets that leave through this interface. A name that
	// ends in "+" or "*" is a prefix. Empty means any.
	OutInterface string
	// ReservedPort is the port of VXLAN, which a translation never uses as the source port of UDP: answers to it would
	// arrive at the VXLAN device. 0 reserves none.
	ReservedPort uint16
	// VXLAN is set if the node has a VXLAN device.
	VXLAN *VXLAN
	// IPIP is set if the node has an IPIP device.
	IPIP bool
	// Workloads are the prefixes of the names of workload interfaces. A pod may send no packets of the tunnels.
	Workloads []string
	// AllowVXLANFromPods and AllowIPIPFromPods lift that.
	AllowVXLANFromPods, AllowIPIPFromPods bool
	// Tunnels are the names of the tunnel devices with an address of their own. Local packets that leave through such a
	// device with another source address get its address.
	Tunnels []string
}

// VXLAN identifies the packets of the node's VXLAN devices.
type VXLAN struct {
	Port uint16
	VNI  uint32
}

// Family is the part of one address family.
type Family struct {
	// Outgoing are the CIDRs whose addresses are translated when they leave the pods' networks.
	Outgoing []netip.Prefix
	// Pools are the CIDRs of all pods' networks. Packets to them keep their source address.
	Pools []netip.Prefix
	// Excluded are further destinations to which packets keep their source address.
	Excluded []netip.Addr
	// Source is the source address of translated packets. The zero value means that of the outgoing interface.
	Source netip.Addr
	// VXLANSenders and IPIPSenders are the addresses from which packets of the tunnels are accepted. A node without an
	// own tunnel device of that kind accepts all.
	VXLANSenders, IPIPSenders []netip.Addr
	// ExternalSenders are networks from which packets of all tunnels are accepted.
	ExternalSenders []netip.Prefix
}
