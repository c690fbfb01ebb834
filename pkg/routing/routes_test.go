// SPDX-License-Identifier: Apache-2.0

package routing

import (
	"net/netip"
	"strings"
	"testing"

	"calico-cni/pkg/model"
	"calico-cni/pkg/netstate"
)

// threeNodes is a cluster with nodes a and b in one subnet and c in another, each with a block of pool p. The result is
// for node a.
func threeNodes(options ...string) Input {
	in := Input{
		Node: "a",
		Nodes: []model.Node{
			node("a", "IPv4Address=172.16.0.1/24", "IPv4VXLANTunnelAddr=10.0.1.0", "IPv4IPIPTunnelAddr=10.0.1.1"),
			node("b", "IPv4Address=172.16.0.2/24", "IPv4VXLANTunnelAddr=10.0.2.0", "IPv4IPIPTunnelAddr=10.0.2.1"),
			node("c", "IPv4Address=172.16.9.3/24", "IPv4VXLANTunnelAddr=10.0.3.0", "IPv4IPIPTunnelAddr=10.0.3.1"),
		},
		Pools:  []model.Pool{pool("p", "10.0.0.0/16", options...)},
		Blocks: []model.Block{blockOf("10.0.1.0/26", "a"), blockOf("10.0.2.0/26", "b"), blockOf("10.0.3.0/26", "c")},
		IPv4:   Link{"eth0", 1500},
		Config: DefaultConfig(),
	}
	return in
}

// routes renders the routes of a state, one in a line, sorted.
func routes(s netstate.State) string { return text(netstate.State{Routes: s.Routes}) }

// The routes of each encapsulation, and of the situations that change a route.
func TestRoutes(t *testing.T) {
	for _, test := range []struct {
		name    string
		options string
		change  func(*Input)
		want    string
	}{
		{"no encapsulation", "", nil, `
			blackhole 10.0.1.0/26 proto 80
			10.0.2.0/26 via 172.16.0.2 dev eth0 onlink proto 80`},
		{"VXLAN", "vxlan", nil, `
			blackhole 10.0.1.0/26 proto 80
			10.0.2.0/26 via 10.0.2.0 dev vxlan.calico onlink mtu 1450 proto 3
			10.0.3.0/26 via 10.0.3.0 dev vxlan.calico onlink mtu 1450 proto 3`},
		{"VXLAN CrossSubnet", "vxlan-cross", nil, `
			blackhole 10.0.1.0/26 proto 80
			10.0.2.0/26 via 172.16.0.2 dev eth0 onlink proto 80
			10.0.3.0/26 via 10.0.3.0 dev vxlan.calico onlink mtu 1450 proto 3`},
		{"IPIP", "ipip", nil, `
			blackhole 10.0.1.0/26 proto 80
			10.0.2.0/26 via 172.16.0.2 dev tunl0 onlink mtu 1480 proto 80
			10.0.3.0/26 via 172.16.9.3 dev tunl0 onlink mtu 1480 proto 80`},
		{"IPIP CrossSubnet", "ipip-cross", nil, `
			blackhole 10.0.1.0/26 proto 80
			10.0.2.0/26 via 172.16.0.2 dev eth0 onlink proto 80
			10.0.3.0/26 via 172.16.9.3 dev tunl0 onlink mtu 1480 proto 80`},
		{"a disabled pool keeps its routes", "vxlan disabled", nil, `
			blackhole 10.0.1.0/26 proto 80
			10.0.2.0/26 via 10.0.2.0 dev vxlan.calico onlink mtu 1450 proto 3
			10.0.3.0/26 via 10.0.3.0 dev vxlan.calico onlink mtu 1450 proto 3`},
		{"a subnet of one address: everything through the tunnel", "ipip-cross", func(in *Input) {
			in.Nodes[0] = node("a", "IPv4Address=172.16.0.1/32", "IPv4IPIPTunnelAddr=10.0.1.1")
		}, `
			blackhole 10.0.1.0/26 proto 80
			10.0.2.0/26 via 172.16.0.2 dev tunl0 onlink mtu 1480 proto 80
			10.0.3.0/26 via 172.16.9.3 dev tunl0 onlink mtu 1480 proto 80`},
		{"the subnet of this node counts, not that of the other", "vxlan-cross", func(in *Input) {
			in.Nodes[1] = node("b", "IPv4Address=172.16.0.2/32", "IPv4VXLANTunnelAddr=10.0.2.0")
			in.Blocks = in.Blocks[1:2]
		}, `10.0.2.0/26 via 172.16.0.2 dev eth0 onlink proto 80`},
		{"a pool inside of another one", "vxlan", func(in *Input) {
			in.Pools = append(in.Pools, pool("inner", "10.0.2.0/24", "ipip"))
		}, `
			blackhole 10.0.1.0/26 proto 80
			10.0.2.0/26 via 172.16.0.2 dev tunl0 onlink mtu 1480 proto 80
			10.0.3.0/26 via 10.0.3.0 dev vxlan.calico onlink mtu 1450 proto 3`},
		{"borrowed addresses", "vxlan", func(in *Input) {
			in.Blocks = []model.Block{
				blockOf("10.0.1.0/26", "a", "10.0.1.9=b"),
				blockOf("10.0.2.0/26", "b", "10.0.2.9=a", "10.0.2.10=c"),
			}
		}, `
			blackhole 10.0.1.0/26 proto 80
			10.0.1.9/32 via 10.0.2.0 dev vxlan.calico onlink mtu 1450 proto 3
			10.0.2.0/26 via 10.0.2.0 dev vxlan.calico onlink mtu 1450 proto 3
			blackhole 10.0.2.9/32 metric 2147483647 proto 80
			10.0.2.10/32 via 10.0.3.0 dev vxlan.calico onlink mtu 1450 proto 3`},
		{"blocks that overlap: the smallest decides", "vxlan", func(in *Input) {
			in.Blocks = []model.Block{
				blockOf("10.0.2.0/26", "b", "10.0.2.9=c", "10.0.2.10=c"), blockOf("10.0.2.0/28", "c", "10.0.2.9=b"),
			}
		}, `
			10.0.2.0/26 via 10.0.2.0 dev vxlan.calico onlink mtu 1450 proto 3
			10.0.2.0/28 via 10.0.3.0 dev vxlan.calico onlink mtu 1450 proto 3
			10.0.2.9/32 via 10.0.2.0 dev vxlan.calico onlink mtu 1450 proto 3
			10.0.2.10/32 via 10.0.3.0 dev vxlan.calico onlink mtu 1450 proto 3`},
		{"a block that no node has", "ipip", func(in *Input) {
			in.Blocks = []model.Block{blockOf("10.0.5.0/26", "", "10.0.5.1=b", "10.0.5.2=a")}
		}, `
			10.0.5.1/32 via 172.16.0.2 dev tunl0 onlink mtu 1480 proto 80
			blackhole 10.0.5.2/32 metric 2147483647 proto 80`},
		{"blocks of one address", "vxlan", func(in *Input) {
			in.Blocks = []model.Block{
				blockOf("10.0.5.1/32", "a"), blockOf("10.0.5.2/32", "b"), blockOf("10.0.5.3/32", "b", "10.0.5.3=c"),
			}
			in.Endpoints = []Endpoint{endpoint("cali1", 1, "10.0.5.1")}
		}, `
			10.0.5.1/32 dev cali1 metric 1024 proto 3
			blackhole 10.0.5.1/32 metric 2147483647 proto 80
			10.0.5.2/32 via 10.0.2.0 dev vxlan.calico onlink mtu 1450 proto 3
			10.0.5.3/32 via 10.0.3.0 dev vxlan.calico onlink mtu 1450 proto 3`},
		{"tunnel addresses with routes of their own", "vxlan", func(in *Input) {
			in.Blocks = []model.Block{blockOf("10.0.2.0/32", "b"), blockOf("10.0.1.0/26", "a", "10.0.1.7=c")}
			in.Nodes[2] = node("c", "IPv4Address=172.16.9.3/24", "IPv4VXLANTunnelAddr=10.0.1.7")
		}, `
			blackhole 10.0.1.0/26 proto 80
			10.0.2.0/32 dev vxlan.calico proto 3
			10.0.1.7/32 dev vxlan.calico proto 3`},
		{"a local pod wins over a block and a borrowed address", "vxlan", func(in *Input) {
			in.Blocks = []model.Block{blockOf("10.0.2.7/32", "b"), blockOf("10.0.1.0/26", "a", "10.0.1.7=c")}
			in.Endpoints = []Endpoint{endpoint("cali1", 1, "10.0.2.7", "10.0.1.7")}
		}, `
			blackhole 10.0.1.0/26 proto 80
			10.0.2.7/32 dev cali1 metric 1024 proto 3
			10.0.1.7/32 dev cali1 metric 1024 proto 3`},
		{"two pods with one address: the newer one", "vxlan", func(in *Input) {
			in.Blocks = nil
			in.Endpoints = []Endpoint{
				endpoint("cali9", 8, "10.0.1.5"), endpoint("cali2", 9, "10.0.1.5"), endpoint("cali5", 7, "10.0.1.5"),
			}
		}, `10.0.1.5/32 dev cali2 metric 1024 proto 3`},
		{"two pods with one address whose interfaces are missing: the first by name", "vxlan", func(in *Input) {
			in.Blocks = nil
			in.Endpoints = []Endpoint{endpoint("cali9", 0, "10.0.1.5"), endpoint("cali2", 0, "10.0.1.5")}
		}, `10.0.1.5/32 dev cali2 metric 1024 proto 3`},
		{"configured source, metric and protocol", "vxlan-cross", func(in *Input) {
			in.Endpoints = []Endpoint{endpoint("cali1", 1, "10.0.1.5", "fd00::5")}
			in.Config.SourceIPv4, in.Config.MetricIPv4 = netip.MustParseAddr("172.16.0.1"), 77
			in.Config.SourceIPv6, in.Config.MetricIPv6 = netip.MustParseAddr("2001:db8::1"), 78
			in.Config.DeviceProtocol = 99
		}, `
			10.0.1.5/32 dev cali1 src 172.16.0.1 metric 77 proto 99
			fd00::5/128 dev cali1 src 2001:db8::1 metric 78 proto 99
			blackhole 10.0.1.0/26 proto 99
			10.0.2.0/26 via 172.16.0.2 dev eth0 onlink proto 99
			10.0.3.0/26 via 10.0.3.0 dev vxlan.calico onlink mtu 1450 proto 99`},
		{"IPv6 off: local pods keep their routes", "vxlan", func(in *Input) {
			in.Config.IPv6, in.IPv6 = false, Link{"eth0", 1500}
			in.Config.MetricIPv6 = 0 // The kernel uses 1024.
			in.Pools = []model.Pool{pool("six", "fd00::/64", "vxlan")}
			in.Blocks = []model.Block{blockOf("fd00::/122", "a"), blockOf("fd00::40/122", "b")}
			in.Endpoints = []Endpoint{endpoint("cali1", 1, "fd00::5")}
		}, `fd00::5/128 dev cali1 metric 1024 proto 3`},
		{"nodes without addresses: only own blocks get a blackhole", "ipip", func(in *Input) {
			in.Nodes[0], in.Nodes[1] = node("a"), node("b")
		}, `blackhole 10.0.1.0/26 proto 80`},
		{"routes of pools without encapsulation come from BGP", "", func(in *Input) {
			in.Config.BGP.Unencapsulated = true
			in.Blocks = append(in.Blocks, blockOf("10.0.9.0/26", "b", "10.0.9.1=a"))
		}, ``},
		{"routes between subnets come from BGP", "", func(in *Input) { in.Config.BGP.CrossSubnet = true }, `
			blackhole 10.0.1.0/26 proto 80
			10.0.2.0/26 via 172.16.0.2 dev eth0 onlink proto 80`},
		{"routes of pools with IPIP come from BGP", "ipip-cross", func(in *Input) {
			in.Config.BGP.IPIP = true
			in.Pools = append(in.Pools, pool("q", "10.1.0.0/16", "vxlan"))
			in.Blocks = append(in.Blocks, blockOf("10.1.0.0/26", "b"))
		}, `10.1.0.0/26 via 10.0.2.0 dev vxlan.calico onlink mtu 1450 proto 3`},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := threeNodes(strings.Fields(test.options)...)
			if test.change != nil {
				test.change(&in)
			}
			if got, want := routes(Compute(in).State), trimLines(test.want); got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}
