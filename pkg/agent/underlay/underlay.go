// SPDX-License-Identifier: Apache-2.0

// Package underlay reads what the agent needs to know of the host's own network: the link with the address of the node,
// that of the default route, and the indexes of interfaces.
package underlay

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"calico-cni/pkg/agent/kernel/rtnl"
)

// Link is a link of the host.
type Link struct {
	Name  string
	Index int
	// MTU is in bytes.
	MTU int
}

// Network is the host's network at one time.
type Network struct {
	links map[int]Link
	names map[string]int
	addrs map[netip.Addr]int
	// defaults are the indexes of the links of default routes.
	defaults map[int]bool
}

// Read reads the network of the calling thread's namespace.
func Read() (Network, error) {
	n := Network{
		links: map[int]Link{}, names: map[string]int{}, addrs: map[netip.Addr]int{}, defaults: map[int]bool{},
	}
	links, err := rtnl.Dump(netlink.LinkList)
	if err != nil {
		return n, fmt.Errorf("read links: %w", err)
	}
	for _, l := range links {
		a := l.Attrs()
		n.links[a.Index] = Link{Name: a.Name, Index: a.Index, MTU: a.MTU}
		n.names[a.Name] = a.Index
	}
	addrs, err := rtnl.Dump(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return n, fmt.Errorf("read addresses: %w", err)
	}
	for _, a := range addrs {
		if addr, ok := netip.AddrFromSlice(a.IP); ok {
			n.addrs[addr.Unmap()] = a.LinkIndex
		}
	}
	return n, n.readDefaults()
}

// readDefaults reads the default routes. Filtering by destination keeps the dump small.
func (n *Network) readDefaults() error {
	for family, bits := range map[int]int{netlink.FAMILY_V4: net.IPv4len, netlink.FAMILY_V6: net.IPv6len} {
		filter := &netlink.Route{
			Table: unix.RT_TABLE_MAIN, Dst: &net.IPNet{IP: make(net.IP, bits), Mask: make(net.IPMask, bits)},
		}
		routes, err := rtnl.Dump(func() ([]netlink.Route, error) {
			return netlink.RouteListFiltered(family, filter, netlink.RT_FILTER_TABLE|netlink.RT_FILTER_DST)
		})
		if err != nil {
			return fmt.Errorf("read default routes: %w", err)
		}
		for _, r := range routes {
			n.defaults[r.LinkIndex] = true
			for _, hop := range r.MultiPath {
				n.defaults[hop.LinkIndex] = true
			}
		}
	}
	return nil
}

// WithAddr returns the link that has an address.
func (n *Network) WithAddr(addr netip.Addr) (Link, bool) {
	l, ok := n.links[n.addrs[addr]]
	return l, ok
}

// ByName returns the link with a name.
func (n *Network) ByName(name string) (Link, bool) {
	l, ok := n.links[n.names[name]]
	return l, ok
}

// Matching returns the links whose names match.
func (n *Network) Matching(match func(name string) bool) (links []Link) {
	for _, l := range n.links {
		if match(l.Name) {
			links = append(links, l)
		}
	}
	return links
}

// Defaults returns the links of default routes.
func (n *Network) Defaults() (links []Link) {
	for index := range n.defaults {
		if l, ok := n.links[index]; ok {
			links = append(links, l)
		}
	}
	return links
}
