// SPDX-License-Identifier: Apache-2.0

// Package hostnet reads the links of the host for package autodetect.
package hostnet

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"calico-cni/pkg/agent/autodetect"
	"calico-cni/pkg/agent/kernel/rtnl"
)

// unusable are the flags of addresses that the node cannot use, or not for long. The flag of a temporary IPv6 address
// is that of a secondary IPv4 address.
const (
	unusable     = unix.IFA_F_TENTATIVE | unix.IFA_F_DADFAILED | unix.IFA_F_DEPRECATED
	unusableIPv6 = unusable | unix.IFA_F_TEMPORARY
)

// Lookup resolves the name of a host, like net.Resolver.LookupNetIP.
type Lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)

// Read reads the links of the calling thread's network namespace, and the source addresses for the destinations. A
// destination that has no route or address in the Domain Name System is absent in the result.
func Read(ctx context.Context, lookup Lookup, destinations ...Destination) (autodetect.Host, error) {
	links, err := readLinks()
	if err != nil {
		return autodetect.Host{}, err
	}
	h := autodetect.Host{Links: links, Sources: map[string]netip.Addr{}}
	for _, d := range destinations {
		if source, ok := d.source(ctx, lookup); ok {
			h.Sources[d.Name] = source
		}
	}
	return h, nil
}

// Destination is a destination of the method can-reach: an address or the name of a host.
type Destination struct {
	Name string
	IPv6 bool
}

// source returns the source address that the kernel uses for packets to the destination.
func (d Destination) source(ctx context.Context, lookup Lookup) (netip.Addr, bool) {
	addrs := []netip.Addr{}
	if addr, err := netip.ParseAddr(d.Name); err == nil {
		addrs = append(addrs, addr)
	} else if addrs, err = lookup(ctx, map[bool]string{false: "ip4", true: "ip6"}[d.IPv6], d.Name); err != nil {
		return netip.Addr{}, false
	}
	for _, addr := range addrs {
		if addr = addr.Unmap(); addr.Is6() != d.IPv6 {
			continue
		}
		routes, err := netlink.RouteGet(addr.AsSlice())
		if err != nil || len(routes) == 0 {
			continue
		}
		if source, ok := netip.AddrFromSlice(routes[0].Src); ok {
			return source.Unmap(), true
		}
	}
	return netip.Addr{}, false
}

func readLinks() ([]autodetect.Link, error) {
	links, err := rtnl.Dump(netlink.LinkList)
	if err != nil {
		return nil, fmt.Errorf("read links: %w", err)
	}
	addrs, err := rtnl.Dump(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, fmt.Errorf("read addresses: %w", err)
	}
	byLink := map[int][]netip.Prefix{}
	for _, a := range addrs {
		if p, ok := prefix(a); ok {
			byLink[a.LinkIndex] = append(byLink[a.LinkIndex], p)
		}
	}
	slices.SortFunc(links, func(a, b netlink.Link) int { return a.Attrs().Index - b.Attrs().Index })
	out := make([]autodetect.Link, len(links))
	for i, l := range links {
		flags := l.Attrs().Flags
		out[i] = autodetect.Link{
			Name: l.Attrs().Name, Up: flags&net.FlagUp != 0, Loopback: flags&net.FlagLoopback != 0,
			Addrs: byLink[l.Attrs().Index],
		}
	}
	return out, nil
}

// prefix converts an address. It returns false for an address that the node cannot use.
func prefix(a netlink.Addr) (netip.Prefix, bool) {
	addr, ok := netip.AddrFromSlice(a.IP)
	addr = addr.Unmap()
	bad := unusable
	if addr.Is6() {
		bad = unusableIPv6
	}
	ones, _ := a.Mask.Size()
	return netip.PrefixFrom(addr, ones), ok && a.Flags&bad == 0
}
