// SPDX-License-Identifier: Apache-2.0

package routing

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"calico-cni/pkg/model"
)

// Each contradiction in the input gives one finding, and everything else goes on.
func TestFindings(t *testing.T) {
	for _, test := range []struct {
		name     string
		options  string
		change   func(*Input)
		findings string
		// routes are those that remain, without blackholes.
		routes string
	}{
		{
			"no encapsulation between subnets", "", func(in *Input) {
				for i := range 7 {
					name := fmt.Sprintf("far-%d", i)
					in.Nodes = append(in.Nodes, node(name, fmt.Sprintf("IPv4Address=172.16.8.%d/24", i+1)))
					in.Blocks = append(in.Blocks, blockOf(fmt.Sprintf("10.0.%d.0/26", 10+i), name),
						blockOf(fmt.Sprintf("10.0.%d.64/26", 10+i), name))
				}
			},
			`IPPool p: no routes to pods on c, far-0, far-1, far-2, far-3 and 3 more: they are in another subnet, and the pool has no encapsulation; set vxlanMode or ipipMode to CrossSubnet, or use BGP`,
			`10.0.2.0/26 via 172.16.0.2 dev eth0 onlink proto 80`,
		},
		{
			"BGP provides the routes between subnets", "", func(in *Input) { in.Config.BGP.CrossSubnet = true }, ``,
			`10.0.2.0/26 via 172.16.0.2 dev eth0 onlink proto 80`,
		},
		{
			"BGP provides all routes", "", func(in *Input) {
				in.Config.BGP.Unencapsulated = true
				in.Nodes[1] = node("b")
				in.Blocks = append(in.Blocks, blockOf("10.0.9.0/26", "gone"))
			}, ``, ``,
		},
		{
			"another node has no VXLAN address", "vxlan", func(in *Input) { in.Nodes[1] = node("b", "IPv4Address=172.16.0.2/24") },
			`IPPool p: no routes to pods on b: they have no VXLAN tunnel address; wait until they have allocated one; they need a pool with the use Tunnel that selects them`,
			`10.0.3.0/26 via 10.0.3.0 dev vxlan.calico onlink mtu 1450 proto 3`,
		},
		{
			"another node has no address", "vxlan", func(in *Input) { in.Nodes[1] = node("b", "IPv4VXLANTunnelAddr=10.0.2.0") },
			`IPPool p: no routes to pods on b: they have no address; check that calico-node runs on these nodes and has found an address`,
			`10.0.3.0/26 via 10.0.3.0 dev vxlan.calico onlink mtu 1450 proto 3`,
		},
		{
			"blocks of a node that is gone", "vxlan", func(in *Input) { in.Nodes = in.Nodes[:2] },
			`IPPool p: no routes to pods on c: they have no Node object; wait until the blocks are released, or delete them if the nodes are gone`,
			`10.0.2.0/26 via 10.0.2.0 dev vxlan.calico onlink mtu 1450 proto 3`,
		},
		{
			"this node has no VXLAN address", "vxlan-cross", func(in *Input) { in.Nodes[0] = node("a", "IPv4Address=172.16.0.1/24") },
			`Node a: the node has no address for vxlan.calico: VXLAN waits for it; wait until the node has allocated one; it needs a pool with the use Tunnel that selects the node`,
			`10.0.2.0/26 via 172.16.0.2 dev eth0 onlink proto 80`,
		},
		{
			"this node has no IPIP address", "ipip", func(in *Input) { in.Nodes[0] = node("a", "IPv4Address=172.16.0.1/24") },
			`Node a: the node has no address for tunl0: the node itself reaches pods on other nodes with another source; wait until the node has allocated one; it needs a pool with the use Tunnel that selects the node`,
			`10.0.2.0/26 via 172.16.0.2 dev tunl0 onlink mtu 1480 proto 80
			 10.0.3.0/26 via 172.16.9.3 dev tunl0 onlink mtu 1480 proto 80`,
		},
		{
			"this node has no address", "ipip-cross", func(in *Input) { in.Nodes[0] = node("a") },
			`Node a: the node has no IPv4 address: pods reach no other node over it; check the detection of the address (IP_AUTODETECTION_METHOD, IP6_AUTODETECTION_METHOD)`, ``,
		},
		{
			"no link has the address of this node", "vxlan-cross", func(in *Input) { in.IPv4 = Link{} },
			`Node a: no link has the address 172.16.0.1 of the node: pods reach no other node; check the detection of the address (IP_AUTODETECTION_METHOD, IP6_AUTODETECTION_METHOD)`, ``,
		},
		{
			"this node has no Node object", "", func(in *Input) { in.Node, in.Blocks = "x", nil },
			`Node x: the node has no Node object: pods reach no other node; check that the name of the node is that of its Node object (NODENAME)`, ``,
		},
		{
			"two other nodes with one address", "ipip", func(in *Input) { in.Nodes[2].IPv4.Addr = in.Nodes[1].IPv4.Addr },
			`Node b: nodes b, c have the same address 172.16.0.2: their pods are not all reachable; delete the Node objects of nodes that no longer exist, or correct the detection of addresses (IP_AUTODETECTION_METHOD)`,
			`10.0.2.0/26 via 172.16.0.2 dev tunl0 onlink mtu 1480 proto 80
			 10.0.3.0/26 via 172.16.0.2 dev tunl0 onlink mtu 1480 proto 80`,
		},
		{
			"another node with the address of this one", "vxlan", func(in *Input) { in.Nodes[1].IPv4.Addr = in.Nodes[0].IPv4.Addr },
			`Node a: nodes a, b have the same address 172.16.0.1: this node receives the packets for all of them; delete the Node objects of nodes that no longer exist, or correct the detection of addresses (IP_AUTODETECTION_METHOD)`,
			`10.0.3.0/26 via 10.0.3.0 dev vxlan.calico onlink mtu 1450 proto 3`,
		},
		{
			"two nodes with one tunnel address: the one that uses it according to IPAM", "vxlan",
			func(in *Input) { in.Nodes[1].IPv4.VXLAN = in.Nodes[2].IPv4.VXLAN },
			`IPPool p: no routes to pods on b: another node has their VXLAN tunnel address or MAC; see the finding on the Node
			 Node c: nodes b, c have the same value for the VXLAN tunnel address 10.0.3.0: only c takes part in VXLAN; remove the annotation of the tunnel address from the other nodes: calico-node allocates new addresses`,
			`10.0.3.0/26 via 10.0.3.0 dev vxlan.calico onlink mtu 1450 proto 3`,
		},
		{
			"two nodes with one tunnel address that one of them has borrowed", "vxlan", func(in *Input) {
				in.Blocks[1] = blockOf("10.0.2.0/26", "b", "10.0.2.0=c")
				in.Nodes[2].IPv4.VXLAN = in.Nodes[1].IPv4.VXLAN
			},
			`IPPool p: no routes to pods on b: another node has their VXLAN tunnel address or MAC; see the finding on the Node
			 Node c: nodes b, c have the same value for the VXLAN tunnel address 10.0.2.0: only c takes part in VXLAN; remove the annotation of the tunnel address from the other nodes: calico-node allocates new addresses`,
			`10.0.2.0/32 dev vxlan.calico proto 3
			 10.0.3.0/26 via 10.0.2.0 dev vxlan.calico onlink mtu 1450 proto 3`,
		},
		{
			"another node with the tunnel address of this one", "vxlan",
			func(in *Input) { in.Nodes[0].IPv4.VXLAN = in.Nodes[2].IPv4.VXLAN },
			`IPPool p: no routes to pods on c: another node has their VXLAN tunnel address or MAC; see the finding on the Node
			 Node a: nodes a, c have the same value for the VXLAN tunnel address 10.0.3.0: only a takes part in VXLAN; remove the annotation of the tunnel address from the other nodes: calico-node allocates new addresses`,
			`10.0.2.0/26 via 10.0.2.0 dev vxlan.calico onlink mtu 1450 proto 3`,
		},
		{
			"a tunnel address that is also that of a node without an address", "vxlan", func(in *Input) {
				in.Nodes = append(in.Nodes, node("0", "IPv4VXLANTunnelAddr=10.0.3.0"))
				in.Blocks = in.Blocks[1:2]
				in.Nodes[1].IPv4.VXLAN = in.Nodes[2].IPv4.VXLAN
			},
			`Node b: nodes b, c have the same value for the VXLAN tunnel address 10.0.3.0: only b takes part in VXLAN; remove the annotation of the tunnel address from the other nodes: calico-node allocates new addresses`,
			`10.0.2.0/26 via 10.0.3.0 dev vxlan.calico onlink mtu 1450 proto 3`,
		},
		{
			"two nodes with one MAC", "vxlan", func(in *Input) { in.Nodes[2].IPv4.MAC = in.Nodes[1].IPv4.MAC },
			`IPPool p: no routes to pods on c: another node has their VXLAN tunnel address or MAC; see the finding on the Node
			 Node b: nodes b, c have the same value for the MAC 66:e9:d7:1f:5e:e7 of the VXLAN device: only b takes part in VXLAN; remove the annotation with the MAC from the other nodes`,
			`10.0.2.0/26 via 10.0.2.0 dev vxlan.calico onlink mtu 1450 proto 3`,
		},
		{
			"blocks outside of all pools", "ipip", func(in *Input) {
				in.Blocks = append(in.Blocks[:2], blockOf("10.5.0.0/26", "b"),
					blockOf("10.4.0.0/26", "a", "10.4.0.1=b"), blockOf("10.4.8.0/32", "", "10.4.8.0=b"))
			},
			`IPAMBlock 10-4-0-0-26: spec.cidr: 10.4.0.0/26, 10.4.8.0/32, 10.5.0.0/26 are in no pool: other nodes have no routes to their pods; create the pool again, disabled, until the pods are gone`,
			`10.0.2.0/26 via 172.16.0.2 dev tunl0 onlink mtu 1480 proto 80`,
		},
		{
			"blocks with the address of a node", "vxlan", func(in *Input) {
				in.Nodes[1] = node("b", "IPv4Address=10.0.3.5/24", "IPv4VXLANTunnelAddr=10.0.2.0")
				in.Blocks[2] = blockOf("10.0.3.0/26", "c", "10.0.3.5=b")
				in.Blocks = append(in.Blocks, blockOf("10.0.9.0/26", "c"))
			},
			`IPPool p: no routes to 10.0.3.0/26, 10.0.3.5/32: the address of a node is in them; move the pool away from the addresses of nodes`,
			`10.0.2.0/26 via 10.0.2.0 dev vxlan.calico onlink mtu 1450 proto 3
			 10.0.9.0/26 via 10.0.3.0 dev vxlan.calico onlink mtu 1450 proto 3`,
		},
		{
			"overlapping pools", "ipip", func(in *Input) {
				in.Pools = append(in.Pools, pool("inner", "10.0.3.0/24", "ipip"), pool("older", "10.0.0.0/16", "vxlan"))
			},
			`IPPool inner: spec.cidr: 10.0.3.0/24 lies in 10.0.0.0/16 of pool older: the encapsulation of inner counts for these addresses; delete one of the pools, after moving its pods to the other
			 IPPool p: spec.cidr: the pool has the same CIDR 10.0.0.0/16 as pool older, whose encapsulation counts; delete one of the pools, after moving its pods to the other`,
			`10.0.2.0/26 via 10.0.2.0 dev vxlan.calico onlink mtu 1450 proto 3
			 10.0.3.0/26 via 172.16.9.3 dev tunl0 onlink mtu 1480 proto 80`,
		},
		{
			"VXLAN forced off", "vxlan-cross", func(in *Input) { in.Config.VXLAN = Off },
			`FelixConfiguration default: spec.vxlanEnabled: the tunnel is forced off, but pool p needs it: pods on other nodes are not reached through it; remove the field, or change the encapsulation of the pool`,
			`10.0.2.0/26 via 172.16.0.2 dev eth0 onlink proto 80`,
		},
		{
			"IPIP forced off", "ipip-cross", func(in *Input) {
				in.Config.IPIP = Off
				in.Pools = append(in.Pools, pool("a", "10.1.0.0/16", "ipip"))
			},
			`FelixConfiguration default: spec.ipipEnabled: the tunnel is forced off, but pool a needs it: pods on other nodes are not reached through it; remove the field, or change the encapsulation of the pool`,
			`10.0.2.0/26 via 172.16.0.2 dev eth0 onlink proto 80`,
		},
		{
			"MTU too small for the IPv6 overlay", "vxlan", func(in *Input) {
				in.IPv4.MTU = 1349
				addIPv6(in)
			},
			`Node a: vxlan-v6.calico is off: its MTU would be 1279, and IPv6 needs 1280; raise the MTU 1349 of link eth0`,
			`10.0.2.0/26 via 10.0.2.0 dev vxlan.calico onlink mtu 1299 proto 3
			 10.0.3.0/26 via 10.0.3.0 dev vxlan.calico onlink mtu 1299 proto 3`,
		},
		{
			"configured MTU too small for the IPv6 overlay", "vxlan", func(in *Input) {
				in.Config.VXLANMTUv6, in.Blocks = 1279, nil
				addIPv6(in)
			},
			`Node a: vxlan-v6.calico is off: its MTU would be 1279, and IPv6 needs 1280; raise the configured MTU of vxlan-v6.calico`,
			``,
		},
		{
			"MTU just large enough for the IPv6 overlay", "vxlan", func(in *Input) {
				in.IPv4.MTU = 1350
				in.Blocks = nil
				addIPv6(in)
			}, ``, `fd00::40/122 via fd00::40 dev vxlan-v6.calico onlink mtu 1280 metric 1024 proto 3`,
		},
		{
			"MTU of pods too small for IPv6", "vxlan", func(in *Input) {
				in.Config.VXLANMTU, in.Blocks = 1279, nil
				addIPv6(in)
			},
			`Node a: the MTU of pods is 1279: IPv6 needs 1280; raise the MTU of the links, or set ipv6Support to false`,
			`fd00::40/122 via fd00::40 dev vxlan-v6.calico onlink mtu 1430 metric 1024 proto 3`,
		},
		{
			"MTU too small for IPv6, which is off", "vxlan", func(in *Input) {
				in.Config.VXLANMTU, in.Config.IPv6 = 1279, false
				addIPv6(in)
				in.Blocks = nil
			}, ``, ``,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := threeNodes(strings.Fields(test.options)...)
			test.change(&in)
			out := Compute(in)
			if got, want := findingTexts(out.Findings), trimLines(test.findings); got != want {
				t.Errorf("findings:\n%s\nwant:\n%s", got, want)
			}
			var lines []string
			for line := range strings.Lines(routes(out.State)) {
				if !strings.HasPrefix(line, "blackhole") {
					lines = append(lines, line)
				}
			}
			if got, want := strings.TrimSpace(strings.Join(lines, "")), trimLines(test.routes); got != want {
				t.Errorf("routes:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// addIPv6 gives nodes a and b IPv6 addresses and blocks of a pool with VXLAN.
func addIPv6(in *Input) {
	in.Nodes[0].IPv6 = node("a", "IPv6Address=2001:db8::1/64", "IPv6VXLANTunnelAddr=fd00::").IPv6
	in.Nodes[1].IPv6 = node("b", "IPv6Address=2001:db8::2/64", "IPv6VXLANTunnelAddr=fd00::40").IPv6
	in.IPv6 = Link{"eth0", in.IPv4.MTU}
	in.Pools = append(in.Pools, pool("six", "fd00::/64", "vxlan"))
	in.Blocks = append(in.Blocks, blockOf("fd00::/122", "a"), blockOf("fd00::40/122", "b"))
}

// Values that are not valid count as absent. Conversions do not return them.
func TestZeroValues(t *testing.T) {
	if out := Compute(Input{}); text(out.State) != "" || len(out.Findings) != 1 {
		t.Errorf("an empty input gives %s and %s", text(out.State), findingTexts(out.Findings))
	}
	in := threeNodes("vxlan")
	want := text(Compute(in).State)
	in.Nodes = append(in.Nodes, model.Node{Name: "zero"})
	in.Pools = append(in.Pools, model.Pool{Name: "zero", VXLAN: model.Always, NATOutgoing: true})
	in.Blocks = append(in.Blocks, model.Block{Node: "b"}, model.Block{Node: "b", Borrowed: []model.Borrowed{{}}})
	in.Endpoints = []Endpoint{{}, {Addrs: []netip.Addr{{}, netip.MustParseAddr("::ffff:10.0.0.1")}}}
	in.Config.ExternalNodes = []netip.Prefix{{}}
	if got := text(Compute(in).State); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// A cluster without contradictions gives no findings, in each encapsulation.
func TestNoFindings(t *testing.T) {
	for _, options := range []string{"vxlan", "vxlan-cross", "ipip", "ipip-cross"} {
		in := threeNodes(options, "nat")
		addIPv6(&in)
		in.Nodes[2].IPv6 = model.NodeAddrs{}
		if out := Compute(in); len(out.Findings) > 0 {
			t.Errorf("%s: %s", options, findingTexts(out.Findings))
		}
	}
}
