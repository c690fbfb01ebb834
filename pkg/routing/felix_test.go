// SPDX-License-Identifier: Apache-2.0

package routing

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"calico-cni/pkg/model"
	"calico-cni/pkg/netstate"
)

// node returns a node. A field is name=value; the names are those of annotations without "projectcalico.org/".
func node(name string, fields ...string) model.Node {
	in := model.NodeFields{Name: name, Annotations: map[string]string{}}
	for _, f := range fields {
		key, value, _ := strings.Cut(f, "=")
		in.Annotations["projectcalico.org/"+key] = value
	}
	n, findings := model.ConvertNode(in)
	if len(findings) > 0 {
		panic(fmt.Sprint(findings))
	}
	return n
}

// pool returns a pool. Options are vxlan, vxlan-cross, ipip, ipip-cross and nat.
func pool(name, cidr string, options ...string) model.Pool {
	p := model.Pool{Name: name, CIDR: netip.MustParsePrefix(cidr), Uses: model.UseWorkload | model.UseTunnel}
	for _, o := range options {
		switch o {
		case "vxlan":
			p.VXLAN = model.Always
		case "vxlan-cross":
			p.VXLAN = model.CrossSubnet
		case "ipip":
			p.IPIP = model.Always
		case "ipip-cross":
			p.IPIP = model.CrossSubnet
		case "nat":
			p.NATOutgoing = true
		case "loadbalancer":
			p.Uses = model.UseLoadBalancer
		case "disabled":
			p.Disabled = true
		default:
			panic(o)
		}
	}
	return p
}

// blockOf returns a block. A borrowed address is address=node.
func blockOf(cidr, node string, borrowed ...string) model.Block {
	b := model.Block{CIDR: netip.MustParsePrefix(cidr), Node: node}
	for _, text := range borrowed {
		addr, user, _ := strings.Cut(text, "=")
		b.Borrowed = append(b.Borrowed, model.Borrowed{Addr: netip.MustParseAddr(addr), Node: user})
	}
	return b
}

func endpoint(name string, index int, addrs ...string) Endpoint {
	e := Endpoint{Interface: name, Index: index}
	for _, a := range addrs {
		e.Addrs = append(e.Addrs, netip.MustParseAddr(a))
	}
	return e
}

// text renders a state, one element in a line, sorted.
func text(s netstate.State) string {
	var lines []string
	for _, d := range s.Devices {
		line := fmt.Sprintf("%s %s mtu %d", d.Kind, d.Name, d.MTU)
		if d.Addr.IsValid() {
			line += " addr " + d.Addr.String()
		}
		if d.Kind == netstate.VXLAN {
			line += fmt.Sprintf(" id %d dstport %d local %s dev %s lladdr %s", d.VXLAN.VNI, d.VXLAN.Port, d.VXLAN.Local,
				d.VXLAN.Parent, d.VXLAN.MAC)
		}
		lines = append(lines, line)
	}
	for _, r := range s.Routes {
		lines = append(lines, r.String())
	}
	for _, n := range s.Neighbours {
		lines = append(lines, fmt.Sprintf("neigh %s dev %s lladdr %s", n.Addr, n.Dev, n.MAC))
	}
	for _, e := range s.FDB {
		lines = append(lines, fmt.Sprintf("fdb %s dev %s dst %s", e.MAC, e.Dev, e.Dst))
	}
	for _, f := range s.Filters {
		lines = append(lines, fmt.Sprintf("filter %s port %d from %v", f.Dev, f.Port, f.Senders))
	}
	for _, n := range []netstate.FamilyNAT{s.NAT.IPv4, s.NAT.IPv6} {
		if len(n.Sources) > 0 {
			lines = append(lines, fmt.Sprintf("nat from %v not to %v", n.Sources, n.Exclusions))
		}
		for _, t := range n.Tunnels {
			lines = append(lines, fmt.Sprintf("nat tunnel %s to %s", t.Dev, t.Addr))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func trimLines(s string) string {
	var lines []string
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func findingTexts(list []model.Finding) string {
	var lines []string
	for _, f := range list {
		lines = append(lines, f.String())
	}
	return strings.Join(lines, "\n")
}

// dualStack is the cluster of two nodes on which the state of Felix was recorded.
func dualStack(self string) Input {
	in := Input{
		Node: self,
		Nodes: []model.Node{
			node("n0001", "IPv4Address=198.18.0.11/24", "IPv4VXLANTunnelAddr=10.77.10.0",
				"IPv6Address=2001:db8::11/64", "IPv6VXLANTunnelAddr=fd00:10:64:ad1a:f263:79d8:e412:4100"),
			node("n0002", "IPv4Address=198.18.0.12/24", "IPv4VXLANTunnelAddr=10.69.185.128",
				"IPv6Address=2001:db8::12/64", "IPv6VXLANTunnelAddr=fd00:10:64:42ca:2135:4e70:1145:b980"),
		},
		Pools: []model.Pool{
			pool("default-ipv4-ippool", "10.64.0.0/12", "vxlan", "nat"),
			pool("default-ipv6-ippool", "fd00:10:64::/48", "vxlan"),
		},
		Blocks: []model.Block{
			blockOf("10.69.185.128/26", "n0002"),
			blockOf("10.77.10.0/26", "n0001", "10.77.10.9=n0002"),
			blockOf("fd00:10:64:ad1a:f263:79d8:e412:4100/122", "n0001"),
			blockOf("fd00:10:64:42ca:2135:4e70:1145:b980/122", "n0002"),
		},
		IPv4: Link{"eth0", 1500}, IPv6: Link{"eth0", 1500},
		Config: DefaultConfig(),
	}
	if self == "n0001" {
		in.Endpoints = []Endpoint{
			endpoint("cali61377f797ca", 3, "10.77.10.1"), endpoint("cali0951e3ade0b", 4, "10.77.10.2"),
			endpoint("cali839a2666d70", 7, "10.77.10.3", "fd00:10:64:ad1a:f263:79d8:e412:4101"),
		}
		return in
	}
	in.Endpoints = []Endpoint{
		endpoint("cali48f015c44b6", 3, "10.69.185.129"), endpoint("califa749098476", 4, "10.69.185.130"),
		endpoint("calic2ff33d7af6", 5, "10.69.185.131", "fd00:10:64:42ca:2135:4e70:1145:b981"),
		endpoint("calie75046a72e1", 6, "10.77.10.9"),
	}
	return in
}

// The expected states are what two nodes of Felix have in the kernel, and one route more: a blackhole behind the address
// that the second node has borrowed.
func TestSameStateAsFelix(t *testing.T) {
	for _, test := range []struct {
		name string
		in   func() Input
		want string
	}{
		{"VXLAN, dual stack, first node", func() Input { return dualStack("n0001") }, `
			vxlan vxlan.calico mtu 1450 addr 10.77.10.0 id 4096 dstport 4789 local 198.18.0.11 dev eth0 lladdr 66:0c:75:9b:a4:97
			vxlan vxlan-v6.calico mtu 1430 addr fd00:10:64:ad1a:f263:79d8:e412:4100 id 4096 dstport 4789 local 2001:db8::11 dev eth0 lladdr 66:6f:17:4a:ae:1c
			10.69.185.128/26 via 10.69.185.128 dev vxlan.calico onlink mtu 1450 proto 3
			blackhole 10.77.10.0/26 proto 80
			10.77.10.1/32 dev cali61377f797ca metric 1024 proto 3
			10.77.10.2/32 dev cali0951e3ade0b metric 1024 proto 3
			10.77.10.3/32 dev cali839a2666d70 metric 1024 proto 3
			10.77.10.9/32 via 10.69.185.128 dev vxlan.calico onlink mtu 1450 proto 3
			fd00:10:64:42ca:2135:4e70:1145:b980/122 via fd00:10:64:42ca:2135:4e70:1145:b980 dev vxlan-v6.calico onlink mtu 1430 metric 1024 proto 3
			fd00:10:64:ad1a:f263:79d8:e412:4101/128 dev cali839a2666d70 metric 1024 proto 3
			blackhole fd00:10:64:ad1a:f263:79d8:e412:4100/122 metric 1024 proto 80
			neigh 10.69.185.128 dev vxlan.calico lladdr 66:1c:18:1f:ae:5a
			neigh fd00:10:64:42ca:2135:4e70:1145:b980 dev vxlan-v6.calico lladdr 66:39:94:2a:09:07
			fdb 66:1c:18:1f:ae:5a dev vxlan.calico dst 198.18.0.12
			fdb 66:39:94:2a:09:07 dev vxlan-v6.calico dst 2001:db8::12
			filter vxlan.calico port 4789 from [198.18.0.12/32]
			filter vxlan-v6.calico port 4789 from [2001:db8::12/128]
			nat from [10.64.0.0/12] not to [10.64.0.0/12]
			nat tunnel vxlan.calico to 10.77.10.0
			nat tunnel vxlan-v6.calico to fd00:10:64:ad1a:f263:79d8:e412:4100`},
		{"VXLAN, dual stack, second node", func() Input { return dualStack("n0002") }, `
			vxlan vxlan.calico mtu 1450 addr 10.69.185.128 id 4096 dstport 4789 local 198.18.0.12 dev eth0 lladdr 66:1c:18:1f:ae:5a
			vxlan vxlan-v6.calico mtu 1430 addr fd00:10:64:42ca:2135:4e70:1145:b980 id 4096 dstport 4789 local 2001:db8::12 dev eth0 lladdr 66:39:94:2a:09:07
			blackhole 10.69.185.128/26 proto 80
			10.69.185.129/32 dev cali48f015c44b6 metric 1024 proto 3
			10.69.185.130/32 dev califa749098476 metric 1024 proto 3
			10.69.185.131/32 dev calic2ff33d7af6 metric 1024 proto 3
			10.77.10.0/26 via 10.77.10.0 dev vxlan.calico onlink mtu 1450 proto 3
			10.77.10.9/32 dev calie75046a72e1 metric 1024 proto 3
			blackhole 10.77.10.9/32 metric 2147483647 proto 80
			fd00:10:64:42ca:2135:4e70:1145:b981/128 dev calic2ff33d7af6 metric 1024 proto 3
			blackhole fd00:10:64:42ca:2135:4e70:1145:b980/122 metric 1024 proto 80
			fd00:10:64:ad1a:f263:79d8:e412:4100/122 via fd00:10:64:ad1a:f263:79d8:e412:4100 dev vxlan-v6.calico onlink mtu 1430 metric 1024 proto 3
			neigh 10.77.10.0 dev vxlan.calico lladdr 66:0c:75:9b:a4:97
			neigh fd00:10:64:ad1a:f263:79d8:e412:4100 dev vxlan-v6.calico lladdr 66:6f:17:4a:ae:1c
			fdb 66:0c:75:9b:a4:97 dev vxlan.calico dst 198.18.0.11
			fdb 66:6f:17:4a:ae:1c dev vxlan-v6.calico dst 2001:db8::11
			filter vxlan.calico port 4789 from [198.18.0.11/32]
			filter vxlan-v6.calico port 4789 from [2001:db8::11/128]
			nat from [10.64.0.0/12] not to [10.64.0.0/12]
			nat tunnel vxlan.calico to 10.69.185.128
			nat tunnel vxlan-v6.calico to fd00:10:64:42ca:2135:4e70:1145:b980`},
		{"VXLAN CrossSubnet, one subnet", func() Input {
			in := dualStack("n0001")
			in.Config.IPv6 = false
			in.Pools = []model.Pool{pool("default-ipv4-ippool", "10.64.0.0/12", "vxlan-cross", "nat")}
			in.Blocks, in.Endpoints = in.Blocks[:2], in.Endpoints[:2]
			return in
		}, `
			vxlan vxlan.calico mtu 1450 addr 10.77.10.0 id 4096 dstport 4789 local 198.18.0.11 dev eth0 lladdr 66:0c:75:9b:a4:97
			10.69.185.128/26 via 198.18.0.12 dev eth0 onlink proto 80
			blackhole 10.77.10.0/26 proto 80
			10.77.10.1/32 dev cali61377f797ca metric 1024 proto 3
			10.77.10.2/32 dev cali0951e3ade0b metric 1024 proto 3
			10.77.10.9/32 via 198.18.0.12 dev eth0 onlink proto 80
			neigh 10.69.185.128 dev vxlan.calico lladdr 66:1c:18:1f:ae:5a
			fdb 66:1c:18:1f:ae:5a dev vxlan.calico dst 198.18.0.12
			filter vxlan.calico port 4789 from [198.18.0.12/32]
			nat from [10.64.0.0/12] not to [10.64.0.0/12]
			nat tunnel vxlan.calico to 10.77.10.0`},
	} {
		t.Run(test.name, func(t *testing.T) {
			out := Compute(test.in())
			if got, want := text(out.State), trimLines(test.want); got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
			if len(out.Findings) > 0 {
				t.Errorf("findings: %s", findingTexts(out.Findings))
			}
		})
	}
}
