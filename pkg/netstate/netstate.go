// SPDX-License-Identifier: Apache-2.0

// Package netstate describes the part of a node's network that the node agent manages, as small comparable values. Pure
// packages compute it, and the drivers compare it with the kernel and change the kernel.
package netstate

import (
	"fmt"
	"net/netip"
)

// State is the network that a node needs. The order of the elements has no meaning, and no two elements have the same
// key.
type State struct {
	Devices    []Device
	Routes     []Route
	Neighbours []Neighbour
	FDB        []FDBEntry
	NAT        NAT
	Filters    []TunnelFilter
}

// Kind is the type of a tunnel device, as `ip link` names it.
type Kind string

// The kinds of tunnel devices.
const (
	VXLAN Kind = "vxlan"
	IPIP  Kind = "ipip"
)

// Device is a tunnel device. Its name is the key.
type Device struct {
	Name string
	Kind Kind
	// MTU is in bytes.
	MTU int
	// Addr is the only address of the device, apart from link-local ones. It has the length of a single address. The
	// zero value means that the device has no address.
	Addr netip.Addr
	// VXLAN has the parameters of a VXLAN device. It is zero for other kinds.
	VXLAN VXLANParams
}

// VXLANParams are the parameters of a VXLAN device. The kernel cannot change most of them: the device is created again.
type VXLANParams struct {
	VNI  int
	Port uint16
	// Parent is the name of the link through which encapsulated packets leave.
	Parent string
	// Local is the source address of encapsulated packets.
	Local netip.Addr
	MAC   MAC
	// NoChecksumOffload turns the transmit checksum offload of the device off.
	NoChecksumOffload bool
}

// MAC is an Ethernet address. It is an array, so that values compare with ==.
type MAC [6]byte

// String returns the address in the form 66:0a:1b:2c:3d:4e.
func (m MAC) String() string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}

// RouteType is the type of a route, as `ip route` names it.
type RouteType string

// The types of routes that the agent writes.
const (
	Unicast   RouteType = "unicast"
	Blackhole RouteType = "blackhole"
)

// Route is a route in the main table. Destination and metric are the key: the kernel has one route for each.
type Route struct {
	Dest netip.Prefix
	Type RouteType
	// Dev is the name of the outgoing link. It is empty for a blackhole.
	Dev string
	// Via is the next hop. The zero value means that the destination is on the link (scope link).
	Via netip.Addr
	// OnLink says that the next hop is reachable on the link although no route says so.
	OnLink bool
	// Src is the preferred source address. The zero value leaves the choice to the kernel.
	Src netip.Addr
	// MTU is in bytes; 0 means that of the link.
	MTU int
	// Metric is the priority of the route; lower wins. The kernel uses 1024 for an IPv6 route with metric 0.
	Metric int
	// Protocol is the origin of the route, as in /etc/iproute2/rt_protos.
	Protocol int
}

// The route protocols that Felix uses, and that the agent uses for the same routes.
const (
	// ProtocolBoot marks routes on workload interfaces and on VXLAN devices.
	ProtocolBoot = 3
	// ProtocolCalico marks routes to other nodes and blackholes.
	ProtocolCalico = 80
)

// String returns the route in the form of `ip route`.
func (r Route) String() string {
	s := r.Dest.String()
	if r.Type != Unicast {
		s = string(r.Type) + " " + s
	}
	if r.Via.IsValid() {
		s += " via " + r.Via.String()
	}
	if r.Dev != "" {
		s += " dev " + r.Dev
	}
	if r.OnLink {
		s += " onlink"
	}
	if r.Src.IsValid() {
		s += " src " + r.Src.String()
	}
	if r.MTU > 0 {
		s += fmt.Sprintf(" mtu %d", r.MTU)
	}
	if r.Metric > 0 {
		s += fmt.Sprintf(" metric %d", r.Metric)
	}
	return s + fmt.Sprintf(" proto %d", r.Protocol)
}

// Neighbour is a permanent neighbour entry. Device and address are the key.
type Neighbour struct {
	Dev  string
	Addr netip.Addr
	MAC  MAC
}

// FDBEntry is a permanent entry in the forwarding database of a VXLAN device: frames to MAC go to the node with address
// Dst. Device and MAC are the key.
type FDBEntry struct {
	Dev string
	MAC MAC
	Dst netip.Addr
}
