// SPDX-License-Identifier: Apache-2.0

package routing

import (
	"net/netip"

	"calico-cni/pkg/netstate"
)

// Config is the part of the configuration that the network depends on. Start from DefaultConfig.
type Config struct {
	// IPv6 enables IPv6 between nodes. Routes to local pods do not depend on it.
	IPv6 bool
	// VXLAN and IPIP force an encapsulation of IPv4 on or off.
	VXLAN, IPIP Switch
	VXLANPort   uint16
	VXLANVNI    int
	// VXLANMTU, VXLANMTUv6 and IPIPMTU are MTUs of tunnel devices. 0 means that of the host less the overhead.
	VXLANMTU, VXLANMTUv6, IPIPMTU int
	// ChecksumOffload leaves the transmit checksum offload of VXLAN devices on. Many drivers then send bad checksums.
	ChecksumOffload bool
	// DeviceProtocol is the protocol of routes to local pods and on VXLAN devices. If it is not ProtocolBoot, the other
	// routes have it too.
	DeviceProtocol int
	// SourceIPv4 and SourceIPv6 are the preferred sources of routes to local pods. The zero value leaves the choice to the
	// kernel.
	SourceIPv4, SourceIPv6 netip.Addr
	// MetricIPv4 and MetricIPv6 are the metrics of routes to local pods.
	MetricIPv4, MetricIPv6 int
	// BGP says which routes come from BGP.
	BGP BGP
	// ExternalNodes are further hosts that may send tunnel packets.
	ExternalNodes []netip.Prefix
	NAT           NATConfig
}

// Switch forces something on or off.
type Switch uint8

// The positions of a Switch. Auto decides by the pools.
const (
	Auto Switch = iota
	On
	Off
)

// BGP says which routes to other nodes come from BGP, so that they are not computed here.
type BGP struct {
	// CrossSubnet is for pools without encapsulation, between nodes in different subnets.
	CrossSubnet bool
	// Unencapsulated is for pools without encapsulation, between all nodes.
	Unencapsulated bool
	// IPIP is for pools with IPIP, between all nodes.
	IPIP bool
}

// NATConfig configures the translation of packets that leave the pools.
type NATConfig struct {
	// Addr is the translated source in its family. The zero value means the address of the outgoing link.
	Addr netip.Addr
	// Ports are the source ports of translated TCP and UDP packets. The zero value leaves the choice to the kernel.
	Ports netstate.PortRange
	// ExcludeNodes keeps the address of the pod in packets to nodes.
	ExcludeNodes bool
	// Interface limits the translation to one outgoing link. A trailing "+" matches any suffix.
	Interface string
}

// DefaultConfig returns the configuration of a cluster that configures nothing.
func DefaultConfig() Config {
	return Config{
		IPv6:      true,
		VXLANPort: 4789, VXLANVNI: 4096,
		DeviceProtocol: netstate.ProtocolBoot,
		MetricIPv4:     1024, MetricIPv6: 1024,
	}
}

// clusterProtocol returns the protocol of direct routes, of routes through IPIP and of blackholes.
func (c *Config) clusterProtocol() int {
	if c.DeviceProtocol != netstate.ProtocolBoot {
		return c.DeviceProtocol
	}
	return netstate.ProtocolCalico
}
