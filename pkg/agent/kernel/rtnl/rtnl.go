// SPDX-License-Identifier: Apache-2.0

// Package rtnl has what the drivers that use rtnetlink(7) share: listings that are complete, and conversions of
// addresses.
package rtnl

import (
	"errors"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// mostDumps bounds how often an interrupted listing is repeated.
const mostDumps = 10

// Dump repeats a listing until no concurrent change interrupts it. An interrupted listing is incomplete, so after the
// last attempt Dump returns its error and no elements.
func Dump[T any](list func() ([]T, error)) ([]T, error) {
	for tries := 1; ; tries++ {
		all, err := list()
		if err == nil {
			return all, nil
		}
		if !errors.Is(err, netlink.ErrDumpInterrupted) || tries == mostDumps {
			return nil, err
		}
	}
}

// IsGone reports whether an error says that a link does not exist.
func IsGone(err error) bool {
	return errors.As(err, new(netlink.LinkNotFoundError)) || errors.Is(err, unix.ENODEV)
}

// IPNet returns a prefix in the form of the netlink package.
func IPNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// Prefix returns a prefix of the netlink package. A nil pointer is the default route of the family.
func Prefix(n *net.IPNet, family int) netip.Prefix {
	if n == nil {
		if family == netlink.FAMILY_V6 {
			return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	bits, _ := n.Mask.Size()
	return netip.PrefixFrom(Addr(n.IP), bits)
}

// Addr returns an address of the net package, the zero value for nil.
func Addr(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}

// IP returns an address in the form of the net package, nil for the zero value.
func IP(a netip.Addr) net.IP {
	if !a.IsValid() {
		return nil
	}
	return a.AsSlice()
}
