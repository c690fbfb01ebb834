// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// mostDumps bounds how often an interrupted dump is repeated.
const mostDumps = 10

// dump repeats a listing until no concurrent change interrupts it. ADD must not call it on the host.
func dump[T any](list func() ([]T, error)) ([]T, error) {
	for tries := 1; ; tries++ {
		all, err := list()
		if err == nil || !errors.Is(err, netlink.ErrDumpInterrupted) || tries == mostDumps {
			return all, err
		}
	}
}

// links returns all links of a namespace.
func (s side) links() ([]netlink.Link, error) {
	links, err := dump(s.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	return links, nil
}

// addrsOf returns the addresses of a link in a pod, with their flags (IFA_F_...).
func (s side) addrsOf(link netlink.Link) (map[netip.Addr]int, error) {
	list, err := dump(func() ([]netlink.Addr, error) {
		return s.AddrList(link, netlink.FAMILY_ALL)
	})
	if err != nil {
		return nil, fmt.Errorf("list addresses of %s: %w", link.Attrs().Name, err)
	}
	flags := map[netip.Addr]int{}
	for _, a := range list {
		if addr, ok := netip.AddrFromSlice(a.IP); ok {
			flags[addr.Unmap()] = a.Flags
		}
	}
	return flags, nil
}

// hasRoute reports whether a pod has a route, in any table and with any metric.
func (s side) hasRoute(want podRoute) (bool, error) {
	family := netlink.FAMILY_V4
	if want.probe.Is6() {
		family = netlink.FAMILY_V6
	}
	list, err := dump(func() ([]netlink.Route, error) {
		filter := &netlink.Route{LinkIndex: want.LinkIndex, Table: unix.RT_TABLE_UNSPEC}
		return s.RouteListFiltered(family, filter, netlink.RT_FILTER_OIF|netlink.RT_FILTER_TABLE)
	})
	if err != nil {
		return false, fmt.Errorf("list routes: %w", err)
	}
	for _, r := range list {
		if r.Type == unix.RTN_UNICAST && samePrefix(r.Dst, want.Dst) && r.Gw.Equal(want.Gw) {
			return true, nil
		}
	}
	return false, nil
}

// lookUp returns the host route to addr, or nil if a wider route applies. The error is the kernel's answer if there is
// no route or if a route rejects packets (such as a blackhole).
func (s side) lookUp(addr netip.Addr) (*netlink.Route, error) {
	routes, err := s.RouteGetWithOptions(addr.AsSlice(), &netlink.RouteGetOptions{FIBMatch: true})
	if err != nil || len(routes) == 0 || !samePrefix(routes[0].Dst, single(addr)) {
		return nil, err
	}
	return &routes[0], nil
}
