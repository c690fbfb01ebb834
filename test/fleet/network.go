// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// subnet is a bridge in the sandbox with the addresses of the router. Its addresses are for documentation (RFC 5737,
// RFC 3849).
type subnet struct {
	bridge           string
	router4, router6 netip.Addr
}

var subnets = [2]subnet{
	{"net-a", netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8:a::1")},
	{"net-b", netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("2001:db8:b::1")},
}

// prefix4 returns the n-th address with the length of the subnet.
func (s subnet) prefix4(n int) netip.Prefix {
	b := s.router4.As4()
	b[3] = byte(n)
	return netip.PrefixFrom(netip.AddrFrom4(b), 24)
}

// prefix6 returns the n-th address with the length of the subnet.
func (s subnet) prefix6(n int) netip.Prefix {
	b := s.router6.As16()
	b[15] = byte(n)
	return netip.PrefixFrom(netip.AddrFrom16(b), 64)
}

// makeNetworks creates the bridges. The sandbox forwards between them.
func (f *Fleet) makeNetworks(context.Context) error {
	if err := setUp("lo"); err != nil {
		return err
	}
	for _, s := range subnets {
		link := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: s.bridge, MTU: 1500}}
		if err := netlink.LinkAdd(link); err != nil {
			return fmt.Errorf("create bridge %s: %w", s.bridge, err)
		}
		if err := setUp(s.bridge); err != nil {
			return err
		}
		for _, prefix := range []netip.Prefix{s.prefix4(1), s.prefix6(1)} {
			addr, err := netlink.ParseAddr(prefix.String())
			if err != nil {
				return err
			}
			addr.Flags = unix.IFA_F_NODAD
			if err := netlink.AddrAdd(link, addr); err != nil {
				return fmt.Errorf("add %s to %s: %w", prefix, s.bridge, err)
			}
		}
	}
	return nil
}

func setUp(name string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find %s: %w", name, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("set %s up: %w", name, err)
	}
	return nil
}
