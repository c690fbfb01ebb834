// SPDX-License-Identifier: Apache-2.0

package netconf

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// RequestedIPs returns the addresses that the runtime requests: runtimeConfig.ips or, if there are none, args.cni.ips.
// They take precedence over IP in CNI_ARGS.
//
// Source: the CNI conventions, "Dynamic Plugin specific fields" and "args in network config".
func (c *NetConf) RequestedIPs() []netip.Addr {
	_, ips := c.requestedIPTexts()
	addrs := make([]netip.Addr, 0, len(ips))
	for _, ip := range ips {
		if addr, ok := parseAddr(ip); ok {
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

func (c *NetConf) requestedIPTexts() (field string, ips []string) {
	if len(c.RuntimeConfig.IPs) > 0 {
		return "runtimeConfig.ips", c.RuntimeConfig.IPs
	}
	return "args.cni.ips", c.Args.CNI.IPs
}

// checkRequests checks the addresses and the MAC address that the runtime requests.
func checkRequests(c *NetConf) error {
	field, ips := c.requestedIPTexts()
	seen := map[bool]bool{}
	for i, ip := range ips {
		addr, ok := parseAddr(ip)
		if !ok {
			return invalid(fmt.Sprintf("%s[%d]", field, i), ip, "want an IP address, with or without prefix length")
		}
		if seen[addr.Is4()] {
			return invalid(fmt.Sprintf("%s[%d]", field, i), ip, "want at most one IPv4 and one IPv6 address")
		}
		seen[addr.Is4()] = true
	}
	if mac := c.RuntimeConfig.MAC; mac != "" {
		if _, ok := parseMAC(mac); !ok {
			return invalid("runtimeConfig.mac", mac, wantMAC)
		}
	}
	return nil
}

// parseAddr parses an address, or the address of a CIDR.
func parseAddr(text string) (netip.Addr, bool) {
	if strings.Contains(text, "/") {
		prefix, err := netip.ParsePrefix(text)
		return prefix.Addr().Unmap(), err == nil
	}
	addr, err := netip.ParseAddr(text)
	return addr.Unmap(), err == nil && addr.Zone() == ""
}

const wantMAC = "want a unicast MAC address of six bytes other than the gateway's, ee:ee:ee:ee:ee:ee, such as " +
	"0a:58:0a:00:00:05"

// parseMAC rejects multicast and all-zero addresses, as the kernel does (is_valid_ether_addr), and that of the host's
// end.
func parseMAC(text string) (net.HardwareAddr, bool) {
	mac, err := net.ParseMAC(text)
	if err != nil || len(mac) != 6 || mac[0]&1 != 0 {
		return nil, false
	}
	return mac, mac.String() != "00:00:00:00:00:00" && mac.String() != "ee:ee:ee:ee:ee:ee"
}
