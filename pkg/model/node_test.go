// SPDX-License-Identifier: Apache-2.0

package model

import (
	"fmt"
	"strings"
	"testing"
)

// describe renders a node, without what is absent.
func describe(n Node) string {
	var parts []string
	for _, f := range []Family{IPv4, IPv6} {
		a := n.In(f)
		if a.Addr.IsValid() {
			parts = append(parts, a.Addr.String())
		}
		if a.VXLAN.IsValid() {
			parts = append(parts, "vxlan "+a.VXLAN.String())
		}
		if a.MAC != VXLANMAC(n.Name, f) {
			parts = append(parts, "mac "+a.MAC.String())
		}
	}
	if n.IPIP.IsValid() {
		parts = append(parts, "ipip "+n.IPIP.String())
	}
	return strings.Join(parts, ", ")
}

func TestConvertNode(t *testing.T) {
	for _, test := range []struct {
		name        string
		annotations map[string]string
		addresses   []NodeAddress
		want        string
		// rejected are the annotations with a finding.
		rejected string
	}{
		{"nothing", nil, nil, "", ""},
		{"everything", map[string]string{
			"IPv4Address": "172.16.0.1/24", "IPv4IPIPTunnelAddr": "10.0.0.1", "IPv4VXLANTunnelAddr": "10.0.0.2",
			"VXLANTunnelMACAddr": "0A:00:00:00:00:01", "IPv6Address": "2001:db8::1/64", "IPv6VXLANTunnelAddr": "fd00::1",
			"VXLANTunnelMACAddrV6": "0a-00-00-00-00-02", "ASNumber": "64512",
		}, nil, "172.16.0.1/24, vxlan 10.0.0.2, mac 0a:00:00:00:00:01, 2001:db8::1/64, vxlan fd00::1, " +
			"mac 0a:00:00:00:00:02, ipip 10.0.0.1", ""},
		{"no length is a subnet of one address", map[string]string{"IPv4Address": "172.16.0.1"}, nil, "172.16.0.1/32", ""},
		{"wrong families", map[string]string{
			"IPv4Address": "2001:db8::1/64", "IPv6Address": "172.16.0.1/24", "IPv4IPIPTunnelAddr": "fd00::1",
			"IPv4VXLANTunnelAddr": "fd00::1", "IPv6VXLANTunnelAddr": "10.0.0.1",
		}, nil, "", "IPv4Address IPv4IPIPTunnelAddr IPv4VXLANTunnelAddr IPv6Address IPv6VXLANTunnelAddr"},
		{
			"no addresses",
			map[string]string{"IPv4Address": "a", "IPv6Address": "::1%lo/64", "IPv4IPIPTunnelAddr": "10.0.0.1/32"},
			nil, "", "IPv4Address IPv4IPIPTunnelAddr IPv6Address",
		},
		{"addresses of no node", map[string]string{
			"IPv4Address": "127.0.0.1/8", "IPv6Address": "fe80::1/64", "IPv4VXLANTunnelAddr": "224.0.0.1",
			"IPv4IPIPTunnelAddr": "0.0.0.0", "IPv6VXLANTunnelAddr": "::ffff:10.0.0.1",
		}, nil, "", "IPv4Address IPv4IPIPTunnelAddr IPv4VXLANTunnelAddr IPv6Address IPv6VXLANTunnelAddr"},
		{"a mapped address", map[string]string{"IPv6Address": "::ffff:10.0.0.1"}, nil, "", "IPv6Address"},
		{
			"bad MACs",
			map[string]string{"VXLANTunnelMACAddr": "66:00:00", "VXLANTunnelMACAddrV6": "00:00:00:00:00:00"},
			nil,
			"", "VXLANTunnelMACAddr VXLANTunnelMACAddrV6",
		},
		{"MACs that are no MAC", map[string]string{
			"VXLANTunnelMACAddr": "0x:00:00:00:00:01", "VXLANTunnelMACAddrV6": "0a:000:0:00:00:01",
		}, nil, "", "VXLANTunnelMACAddr VXLANTunnelMACAddrV6"},
		{"separators that are none, and a long MAC", map[string]string{
			"VXLANTunnelMACAddr": "0a.00.00.00.00.01", "VXLANTunnelMACAddrV6": "0a:00:00:00:00:01:02",
		}, nil, "", "VXLANTunnelMACAddr VXLANTunnelMACAddrV6"},
		{"an address with a zone", map[string]string{"IPv6VXLANTunnelAddr": "fd00::1%eth0"}, nil, "", "IPv6VXLANTunnelAddr"},
		{"a multicast MAC", map[string]string{"VXLANTunnelMACAddr": "01:00:5e:00:00:01"}, nil, "", "VXLANTunnelMACAddr"},
		{"empty annotations are absent", map[string]string{"IPv4Address": "", "VXLANTunnelMACAddr": ""}, nil, "", ""},
		{"addresses that the kubelet reports", nil, []NodeAddress{
			{"Hostname", "a"},
			{"ExternalIP", "192.0.2.1"},
			{"InternalIP", "a"},
			{"InternalIP", "172.16.0.1"},
			{"InternalIP", "172.16.0.2"},
			{"ExternalIP", "2001:db8::1"},
		}, "172.16.0.1/32, 2001:db8::1/128", ""},
		{
			"one annotation hides what the kubelet reports",
			map[string]string{"IPv4Address": "172.16.0.1/24"},
			[]NodeAddress{{"InternalIP", "172.16.0.9"}, {"InternalIP", "2001:db8::1"}},
			"172.16.0.1/24", "",
		},
		{
			"a bad annotation does not",
			map[string]string{"IPv4Address": "x"},
			[]NodeAddress{{"InternalIP", "172.16.0.9"}},
			"172.16.0.9/32", "IPv4Address",
		},
	} {
		in := NodeFields{Name: "n", Annotations: map[string]string{}, Addresses: test.addresses}
		for key, value := range test.annotations {
			in.Annotations["projectcalico.org/"+key] = value
		}
		n, findings := ConvertNode(in)
		if got := describe(n); n.Name != "n" || got != test.want {
			t.Errorf("%s: got %s: %q, want %q", test.name, n.Name, got, test.want)
		}
		rejected := map[string]bool{}
		for _, f := range findings {
			name := strings.TrimSuffix(strings.TrimPrefix(f.Field, "metadata.annotations[projectcalico.org/"), "]")
			if f.Kind != KindNode || f.Name != "n" || f.Problem == "" || f.Remedy == "" {
				t.Errorf("%s: finding %+v", test.name, f)
			}
			rejected[name] = true
		}
		want := map[string]bool{}
		for _, name := range strings.Fields(test.rejected) {
			want[name] = true
		}
		if fmt.Sprint(rejected) != fmt.Sprint(want) || len(findings) != len(want) {
			t.Errorf("%s: rejected %v, want %v", test.name, rejected, want)
		}
	}
}

// The MACs are those of two nodes of Felix.
func TestVXLANMAC(t *testing.T) {
	for _, test := range []struct {
		node string
		f    Family
		want string
	}{
		{"n0001", IPv4, "66:0c:75:9b:a4:97"},
		{"n0001", IPv6, "66:6f:17:4a:ae:1c"},
		{"n0002", IPv4, "66:1c:18:1f:ae:5a"},
		{"n0002", IPv6, "66:39:94:2a:09:07"},
	} {
		if got := VXLANMAC(test.node, test.f).String(); got != test.want {
			t.Errorf("%s %s: got %s, want %s", test.node, test.f, got, test.want)
		}
	}
}

// A finding is one line with the object, the field, the problem and the remedy.
func TestFindingText(t *testing.T) {
	_, findings := ConvertNode(NodeFields{Name: "n", Annotations: map[string]string{AnnotationIPv4Address: "x"}})
	want := `Node n: metadata.annotations[projectcalico.org/IPv4Address]: "x" is ignored: it is not an IPv4 address of a ` +
		`node with a prefix length; correct or remove the annotation`
	if len(findings) != 1 || findings[0].String() != want {
		t.Errorf("got %v, want %s", findings, want)
	}
	if got := (Finding{Kind: KindNode, Name: "n", Problem: "p", Remedy: "r"}).String(); got != "Node n: p; r" {
		t.Errorf("without a field: %s", got)
	}
}

// No annotation makes the conversion panic, and what it accepts is of the right family.
func FuzzConvertNode(f *testing.F) {
	f.Add("172.16.0.1/24", "10.0.0.1", "66:0c:75:9b:a4:97")
	f.Add("fe80::1%eth0/64", "::ffff:1.2.3.4", "----------------:")
	f.Fuzz(func(t *testing.T, addr, tunnel, mac string) {
		n, _ := ConvertNode(NodeFields{Name: addr, Annotations: map[string]string{
			AnnotationIPv4Address: addr, AnnotationIPv6Address: addr, AnnotationIPv4IPIPAddr: tunnel,
			AnnotationIPv4VXLANAddr: tunnel, AnnotationIPv6VXLANAddr: tunnel, AnnotationVXLANMACAddr: mac,
		}, Addresses: []NodeAddress{{"InternalIP", tunnel}}})
		for _, family := range []Family{IPv4, IPv6} {
			a := n.In(family)
			if a.Addr.IsValid() && a.Addr.Addr().BitLen() != family.Bits() || a.VXLAN.IsValid() && a.VXLAN.BitLen() != family.Bits() {
				t.Errorf("%s: %+v", family, a)
			}
			if a.MAC[0]&1 != 0 {
				t.Errorf("multicast MAC %s", a.MAC)
			}
		}
	})
}
