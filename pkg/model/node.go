// SPDX-License-Identifier: Apache-2.0

package model

import (
	"crypto/sha1"
	"fmt"
	"net/netip"
	"strings"

	"calico-cni/pkg/netstate"
)

// The annotations of a Node that the agent reads.
const (
	AnnotationIPv4Address      = "projectcalico.org/IPv4Address"
	AnnotationIPv6Address      = "projectcalico.org/IPv6Address"
	AnnotationIPv4IPIPAddr     = "projectcalico.org/IPv4IPIPTunnelAddr"
	AnnotationIPv4VXLANAddr    = "projectcalico.org/IPv4VXLANTunnelAddr"
	AnnotationIPv6VXLANAddr    = "projectcalico.org/IPv6VXLANTunnelAddr"
	AnnotationVXLANMACAddr     = "projectcalico.org/VXLANTunnelMACAddr"
	AnnotationVXLANMACAddrIPv6 = "projectcalico.org/VXLANTunnelMACAddrV6"
)

// NodeFields are the fields of a Node that the conversion reads.
type NodeFields struct {
	Name        string
	Annotations map[string]string
	// Addresses are in status.addresses. They may be absent, for example in metadata.
	Addresses []NodeAddress
}

// NodeAddress is an entry of status.addresses.
type NodeAddress struct {
	Type    string `json:"type"`
	Address string `json:"address"`
}

// Node is a node of the cluster. Nodes compare with ==.
type Node struct {
	Name string
	// IPIP is the address of the IPIP tunnel device.
	IPIP       netip.Addr
	IPv4, IPv6 NodeAddrs
}

// NodeAddrs are the addresses of a node in one family. An absent address is the zero value.
type NodeAddrs struct {
	// Addr is the address of the node with the length of its subnet.
	Addr netip.Prefix
	// VXLAN is the address of the VXLAN device.
	VXLAN netip.Addr
	// MAC is the Ethernet address of the VXLAN device.
	MAC netstate.MAC
}

// In returns the addresses of one family.
func (n *Node) In(f Family) *NodeAddrs {
	if f == IPv4 {
		return &n.IPv4
	}
	return &n.IPv6
}

// VXLANMAC returns the Ethernet address of the VXLAN device of a node. Every agent computes the same.
func VXLANMAC(node string, f Family) netstate.MAC {
	if f == IPv6 {
		node += "-v6"
	}
	sum := sha1.Sum([]byte(node))
	return netstate.MAC{0x66, sum[0], sum[1], sum[2], sum[3], sum[4]}
}

// ConvertNode converts a Node. If neither family has an address in an annotation, the InternalIP counts, or else the
// ExternalIP, as a subnet of its own.
func ConvertNode(in NodeFields) (Node, []Finding) {
	c := nodeConversion{in: in}
	n := Node{
		Name: in.Name,
		IPIP: c.tunnelAddr(AnnotationIPv4IPIPAddr, IPv4),
		IPv4: NodeAddrs{
			Addr:  c.address(AnnotationIPv4Address, IPv4),
			VXLAN: c.tunnelAddr(AnnotationIPv4VXLANAddr, IPv4),
			MAC:   c.mac(AnnotationVXLANMACAddr, IPv4),
		},
		IPv6: NodeAddrs{
			Addr:  c.address(AnnotationIPv6Address, IPv6),
			VXLAN: c.tunnelAddr(AnnotationIPv6VXLANAddr, IPv6),
			MAC:   c.mac(AnnotationVXLANMACAddrIPv6, IPv6),
		},
	}
	if !n.IPv4.Addr.IsValid() && !n.IPv6.Addr.IsValid() {
		n.IPv4.Addr, n.IPv6.Addr = c.reported(IPv4), c.reported(IPv6)
	}
	return n, c.findings
}

// nodeConversion reads the fields of one node and collects findings.
type nodeConversion struct {
	in       NodeFields
	findings []Finding
}

func (c *nodeConversion) reject(annotation, want string) {
	c.findings = append(c.findings, Finding{
		Kind: KindNode, Name: c.in.Name, Field: "metadata.annotations[" + annotation + "]",
		Problem: fmt.Sprintf("%q is ignored: it is not %s", c.in.Annotations[annotation], want),
		Remedy:  "correct or remove the annotation",
	})
}

// address reads the address of the node, with or without a prefix length.
func (c *nodeConversion) address(annotation string, f Family) netip.Prefix {
	text := c.in.Annotations[annotation]
	if text == "" {
		return netip.Prefix{}
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		addr, _ := netip.ParseAddr(text)
		prefix = netip.PrefixFrom(addr, addr.BitLen())
	}
	if !usable(prefix.Addr(), f) {
		c.reject(annotation, fmt.Sprintf("an %s address of a node with a prefix length", f))
		return netip.Prefix{}
	}
	return prefix
}

func (c *nodeConversion) tunnelAddr(annotation string, f Family) netip.Addr {
	text := c.in.Annotations[annotation]
	if text == "" {
		return netip.Addr{}
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || !usable(addr, f) {
		c.reject(annotation, fmt.Sprintf("an %s address", f))
		return netip.Addr{}
	}
	return addr
}

// mac reads a MAC, or computes it from the name of the node.
func (c *nodeConversion) mac(annotation string, f Family) netstate.MAC {
	text := c.in.Annotations[annotation]
	if text == "" {
		return VXLANMAC(c.in.Name, f)
	}
	mac, ok := parseMAC(text)
	if !ok {
		c.reject(annotation, "the Ethernet address of one device, such as 66:0a:1b:2c:3d:4e")
		return VXLANMAC(c.in.Name, f)
	}
	return mac
}

// reported returns the address that the kubelet reports for a family.
func (c *nodeConversion) reported(f Family) netip.Prefix {
	for _, kind := range []string{"InternalIP", "ExternalIP"} {
		for _, a := range c.in.Addresses {
			if a.Type != kind {
				continue
			}
			if addr, err := netip.ParseAddr(a.Address); err == nil && usable(addr, f) {
				return netip.PrefixFrom(addr, f.Bits())
			}
		}
	}
	return netip.Prefix{}
}

// usable reports whether an address can be the address of a node or of a tunnel device.
func usable(addr netip.Addr, f Family) bool {
	return addr.IsGlobalUnicast() && addr.BitLen() == f.Bits() && !addr.Is4In6() && addr.Zone() == ""
}

// parseMAC reads an Ethernet address of one device: six pairs of hexadecimal digits, separated by colons or hyphens.
func parseMAC(text string) (mac netstate.MAC, ok bool) {
	text = strings.ReplaceAll(text, "-", ":")
	if len(text) != 17 {
		return mac, false
	}
	for i := range mac {
		high, low := hexDigit(text[3*i]), hexDigit(text[3*i+1])
		if high < 0 || low < 0 || i > 0 && text[3*i-1] != ':' {
			return mac, false
		}
		mac[i] = byte(high<<4 | low)
	}
	return mac, mac != netstate.MAC{} && mac[0]&1 == 0
}

func hexDigit(c byte) int { return strings.IndexByte("0123456789abcdef", c|0x20) }
