// SPDX-License-Identifier: Apache-2.0

package routing

import (
	"fmt"
	"net/netip"
	"testing"

	"calico-cni/pkg/model"
)

// large returns a cluster of n nodes in subnets of 250, with four IPv4 blocks and one IPv6 block for each node, and 100
// pods on this node.
func large(n int, options ...string) Input {
	in := Input{
		Node: "node-0", IPv4: Link{"eth0", 1500}, IPv6: Link{"eth0", 1500}, Config: DefaultConfig(),
		Pools: []model.Pool{pool("v4", "10.0.0.0/8", append(options, "nat")...), pool("v6", "fd00::/48", "vxlan")},
	}
	v4 := func(base string, i int) netip.Addr {
		b := netip.MustParseAddr(base).As4()
		b[1], b[2], b[3] = b[1]+byte(i>>16), byte(i>>8), byte(i)
		return netip.AddrFrom4(b)
	}
	v6 := func(base string, i int) netip.Addr {
		b := netip.MustParseAddr(base).As16()
		b[13], b[14], b[15] = byte(i>>16), byte(i>>8), byte(i)
		return netip.AddrFrom16(b)
	}
	for i := range n {
		name := fmt.Sprintf("node-%d", i)
		in.Nodes = append(in.Nodes, node(name,
			fmt.Sprintf("IPv4Address=%s/24", v4("172.16.0.0", i/250*256+1+i%250)),
			fmt.Sprintf("IPv6Address=%s/64", v6("2001:db8::", 1+i)),
			fmt.Sprintf("IPv4VXLANTunnelAddr=%s", v4("10.0.0.0", i*256)),
			fmt.Sprintf("IPv4IPIPTunnelAddr=%s", v4("10.0.0.0", i*256)),
			fmt.Sprintf("IPv6VXLANTunnelAddr=%s", v6("fd00::", i*64))))
		for k := range 4 {
			in.Blocks = append(in.Blocks, model.Block{CIDR: netip.PrefixFrom(v4("10.0.0.0", i*256+64*k), 26), Node: name})
		}
		in.Blocks = append(in.Blocks, model.Block{CIDR: netip.PrefixFrom(v6("fd00::", i*64), 122), Node: name})
	}
	for i := range 100 {
		in.Endpoints = append(in.Endpoints, Endpoint{
			Interface: fmt.Sprintf("cali%d", i), Index: i, Addrs: []netip.Addr{v4("10.0.0.0", 1+i), v6("fd00::", 1+i)},
		})
	}
	return in
}

func BenchmarkCompute(b *testing.B) {
	for _, n := range []int{1000, 5000} {
		for _, mode := range []string{"vxlan", "vxlan-cross", "ipip"} {
			b.Run(fmt.Sprintf("%s/%d", mode, n), func(b *testing.B) {
				in := large(n, mode)
				b.ReportAllocs()
				for b.Loop() {
					if out := Compute(in); len(out.Findings) > 0 {
						b.Fatal(findingTexts(out.Findings))
					}
				}
			})
		}
	}
}
