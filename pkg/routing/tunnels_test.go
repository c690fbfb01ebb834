// SPDX-License-Identifier: Apache-2.0

package routing

import (
	"net/netip"
	"strings"
	"testing"

	"calico-cni/pkg/netstate"
)

// Tunnel devices, their peers, who may send to them, and the translation of packets.
func TestTunnelsAndNAT(t *testing.T) {
	for _, test := range []struct {
		name    string
		options string
		change  func(*Input)
		want    string
	}{
		{"no tunnel", "nat", nil, `nat from [10.0.0.0/16] not to [10.0.0.0/16]`},
		{"IPIP", "ipip", nil, `
			ipip tunl0 mtu 1480 addr 10.0.1.1
			filter tunl0 port 0 from [172.16.0.2/32 172.16.9.3/32]
			nat tunnel tunl0 to 10.0.1.1`},
		{"IPIP without an address", "ipip", func(in *Input) { in.Nodes[0].IPIP = netip.Addr{} }, `
			ipip tunl0 mtu 1480
			filter tunl0 port 0 from [172.16.0.2/32 172.16.9.3/32]`},
		{"VXLAN: nodes take part with both addresses", "vxlan", func(in *Input) {
			in.Nodes = append(in.Nodes, node("d", "IPv4Address=172.16.9.4/24"), node("e", "IPv4VXLANTunnelAddr=10.0.4.0"))
		}, `
			vxlan vxlan.calico mtu 1450 addr 10.0.1.0 id 4096 dstport 4789 local 172.16.0.1 dev eth0 lladdr 66:86:f7:e4:37:fa
			neigh 10.0.2.0 dev vxlan.calico lladdr 66:e9:d7:1f:5e:e7
			neigh 10.0.3.0 dev vxlan.calico lladdr 66:84:a5:16:84:1b
			fdb 66:e9:d7:1f:5e:e7 dev vxlan.calico dst 172.16.0.2
			fdb 66:84:a5:16:84:1b dev vxlan.calico dst 172.16.9.3
			filter vxlan.calico port 4789 from [172.16.0.2/32 172.16.9.3/32]
			nat tunnel vxlan.calico to 10.0.1.0`},
		{"configured VXLAN", "vxlan", func(in *Input) {
			in.Nodes = in.Nodes[:2]
			in.Nodes[0] = node("a", "IPv4Address=172.16.0.1/24", "IPv4VXLANTunnelAddr=10.0.1.0",
				"VXLANTunnelMACAddr=0a:00:00:00:00:01")
			in.Nodes[1] = node("b", "IPv4Address=172.16.0.2/24", "IPv4VXLANTunnelAddr=10.0.2.0",
				"VXLANTunnelMACAddr=0a:00:00:00:00:02")
			in.Config.VXLANPort, in.Config.VXLANVNI, in.Config.VXLANMTU = 8472, 7, 1400
			in.Config.ExternalNodes = []netip.Prefix{
				netip.MustParsePrefix("172.16.0.0/28"), netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("2001:db8::/64"),
			}
		}, `
			vxlan vxlan.calico mtu 1400 addr 10.0.1.0 id 7 dstport 8472 local 172.16.0.1 dev eth0 lladdr 0a:00:00:00:00:01
			neigh 10.0.2.0 dev vxlan.calico lladdr 0a:00:00:00:00:02
			fdb 0a:00:00:00:00:02 dev vxlan.calico dst 172.16.0.2
			filter vxlan.calico port 8472 from [172.16.0.0/28 192.0.2.1/32]
			nat tunnel vxlan.calico to 10.0.1.0`},
		{"forced on without a pool", "", func(in *Input) { in.Config.VXLAN, in.Config.IPIP, in.Nodes = On, On, in.Nodes[:1] }, `
			vxlan vxlan.calico mtu 1450 addr 10.0.1.0 id 4096 dstport 4789 local 172.16.0.1 dev eth0 lladdr 66:86:f7:e4:37:fa
			ipip tunl0 mtu 1480 addr 10.0.1.1
			filter vxlan.calico port 4789 from []
			filter tunl0 port 0 from []
			nat tunnel vxlan.calico to 10.0.1.0
			nat tunnel tunl0 to 10.0.1.1`},
		{"IPv6 off", "vxlan", func(in *Input) {
			addIPv6(in)
			in.Config.IPv6, in.Nodes = false, in.Nodes[:1]
			in.Pools[1].NATOutgoing = true
		}, `
			vxlan vxlan.calico mtu 1450 addr 10.0.1.0 id 4096 dstport 4789 local 172.16.0.1 dev eth0 lladdr 66:86:f7:e4:37:fa
			filter vxlan.calico port 4789 from []
			nat tunnel vxlan.calico to 10.0.1.0`},
		{"NAT: all pools are excluded but those for load balancers", "nat", func(in *Input) {
			in.Pools = append(in.Pools, pool("off", "10.9.0.0/24", "disabled"), pool("inner", "10.0.7.0/24", "nat"),
				pool("lb", "10.8.0.0/24", "loadbalancer"), pool("six", "fd00::/64", "nat"), pool("none", "fd01::/64"))
		}, `
			nat from [10.0.0.0/16] not to [10.0.0.0/16 10.9.0.0/24]
			nat from [fd00::/64] not to [fd00::/64 fd01::/64]`},
		{"NAT: nodes are excluded", "nat", func(in *Input) {
			in.Config.NAT.ExcludeNodes = true
			in.Config.ExternalNodes = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
		}, `nat from [10.0.0.0/16] not to [10.0.0.0/16 172.16.0.2/32 172.16.9.3/32 192.0.2.0/24]`},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := threeNodes(strings.Fields(test.options)...)
			if test.change != nil {
				test.change(&in)
			}
			s := Compute(in).State
			s.Routes = nil
			if got, want := text(s), trimLines(test.want); got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// The settings of NAT are passed on, the address to its family only.
func TestNATSettings(t *testing.T) {
	in := threeNodes("nat")
	in.Pools = append(in.Pools, pool("six", "fd00::/64", "nat"))
	in.Config.VXLANPort = 8472
	in.Config.NAT = NATConfig{
		Addr: netip.MustParseAddr("192.0.2.1"), Ports: netstate.PortRange{First: 1000, Last: 2000}, Interface: "eth+",
	}
	got := Compute(in).State.NAT
	if got.IPv4.Addr != in.Config.NAT.Addr || got.IPv6.Addr.IsValid() {
		t.Errorf("addresses %s and %s", got.IPv4.Addr, got.IPv6.Addr)
	}
	if got.Ports != in.Config.NAT.Ports || got.Interface != "eth+" || got.ReservedPort != 8472 {
		t.Errorf("ports %v, interface %q, reserved port %d", got.Ports, got.Interface, got.ReservedPort)
	}
	in.Config.NAT.Addr = netip.MustParseAddr("2001:db8::1")
	if got := Compute(in).State.NAT; got.IPv4.Addr.IsValid() || got.IPv6.Addr != in.Config.NAT.Addr {
		t.Errorf("addresses %s and %s", got.IPv4.Addr, got.IPv6.Addr)
	}
}

// A family without outgoing NAT has no exclusions either: there may be one for each node.
func TestNoExclusionsWithoutSources(t *testing.T) {
	in := threeNodes("vxlan")
	in.Config.NAT.ExcludeNodes = true
	if got := Compute(in).State.NAT.IPv4.Exclusions; got != nil {
		t.Errorf("exclusions %v", got)
	}
}

// Checksum offload is off unless it is configured.
func TestChecksumOffload(t *testing.T) {
	for _, offload := range []bool{false, true} {
		in := threeNodes("vxlan")
		in.Config.ChecksumOffload = offload
		if d := Compute(in).State.Devices[0]; d.VXLAN.NoChecksumOffload == offload {
			t.Errorf("offload %v gives %+v", offload, d)
		}
	}
}

func TestMTU(t *testing.T) {
	for _, test := range []struct {
		name    string
		options string
		change  func(*Input)
		want    MTU
	}{
		{"no tunnel", "", nil, MTU{1500, "eth0", ""}},
		{"VXLAN", "vxlan", nil, MTU{1450, "eth0", "vxlan.calico"}},
		{"CrossSubnet counts", "vxlan-cross", nil, MTU{1450, "eth0", "vxlan.calico"}},
		{"IPIP", "ipip", nil, MTU{1480, "eth0", "tunl0"}},
		{"VXLAN over IPv6", "ipip", addIPv6, MTU{1430, "eth0", "vxlan-v6.calico"}},
		{"IPv6 off", "ipip", func(in *Input) {
			addIPv6(in)
			in.Config.IPv6 = false
		}, MTU{1480, "eth0", "tunl0"}},
		{"a smaller link", "", func(in *Input) { in.Links = []Link{{"wan0", 1400}, {"lan0", 9000}} }, MTU{1400, "wan0", ""}},
		{
			"tunnels on a smaller link", "vxlan", func(in *Input) { in.Links = []Link{{"wan0", 1400}} },
			MTU{1350, "wan0", "vxlan.calico"},
		},
		{"equal links", "", func(in *Input) { in.Links = []Link{{"wan0", 1500}, {"abc0", 1500}} }, MTU{1500, "abc0", ""}},
		{"configured", "vxlan", func(in *Input) { in.Config.VXLANMTU = 1410 }, MTU{1410, "eth0", "vxlan.calico"}},
		{"configured IPIP", "ipip", func(in *Input) { in.Config.IPIPMTU = 1410 }, MTU{1410, "eth0", "tunl0"}},
		{"configured IPv6", "ipip", func(in *Input) {
			addIPv6(in)
			in.Config.VXLANMTUv6 = 1420
		}, MTU{1420, "eth0", "vxlan-v6.calico"}},
		{"configured larger than the host", "vxlan", func(in *Input) { in.Config.VXLANMTU = 9000 }, MTU{1500, "eth0", ""}},
		{"no link", "", func(in *Input) { in.IPv4 = Link{} }, MTU{1460, "", ""}},
		{"forced off", "vxlan", func(in *Input) { in.Config.VXLAN = Off }, MTU{1500, "eth0", ""}},
		{"forced on: IPv4 only", "", func(in *Input) { in.Config.VXLAN = On }, MTU{1450, "eth0", "vxlan.calico"}},
		{"IPv6 does not work: its tunnel does not count", "ipip", func(in *Input) {
			addIPv6(in)
			in.IPv4.MTU, in.IPv6.MTU = 1340, 1340
		}, MTU{1320, "eth0", "tunl0"}},
	} {
		in := threeNodes(strings.Fields(test.options)...)
		if test.change != nil {
			test.change(&in)
		}
		if got := Compute(in).MTU; got != test.want {
			t.Errorf("%s: got %+v, want %+v", test.name, got, test.want)
		}
	}
}
