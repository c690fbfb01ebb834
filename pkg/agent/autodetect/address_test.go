// SPDX-License-Identifier: Apache-2.0

package autodetect

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"calico-cni/pkg/model"
)

func link(name string, addrs ...string) Link {
	l := Link{Name: name, Up: true, Loopback: name == "lo"}
	for _, a := range addrs {
		l.Addrs = append(l.Addrs, netip.MustParsePrefix(a))
	}
	return l
}

func down(l Link) Link {
	l.Up = false
	return l
}

// typical is a host with interfaces of other software before and after those with the addresses of the node.
func typical() Host {
	return Host{
		Links: []Link{
			link("lo", "127.0.0.1/8", "10.9.9.9/32", "::1/128"),
			down(link("eth9", "192.0.2.9/24")),
			link("docker0", "172.17.0.1/16"),
			link("vxlan.calico", "10.244.0.0/32", "fd00::/128"),
			link("eth0", "169.254.7.7/16", "192.0.2.1/24", "192.0.2.2/24", "fe80::1/64", "2001:db8::1/64"),
			link("bond0", "198.51.100.1/25", "2001:db8:1::1/64"),
			link("nodelocaldns", "10.96.0.10/32"),
		},
		Sources: map[string]netip.Addr{
			"198.51.100.9": netip.MustParseAddr("198.51.100.1"), "pod": netip.MustParseAddr("10.244.0.0"),
		},
	}
}

func TestAddress(t *testing.T) {
	type in struct{ value, method, stored, internal string }
	for _, tt := range []struct {
		name     string
		f        model.Family
		in       in
		want     string // empty means none
		findings []string
	}{
		{"first found", 4, in{value: "autodetect"}, "192.0.2.1/24", nil},
		{"first found of IPv6", 6, in{value: "autodetect"}, "2001:db8::1/64", nil},
		{"no variable", 4, in{}, "192.0.2.1/24", nil},
		{"no variable for IPv6", 6, in{}, "", nil},
		{"no variable, stored", 4, in{stored: "203.0.113.1/24"}, "203.0.113.1/24", nil},
		{"detection replaces the stored address", 4, in{value: "Autodetect", stored: "203.0.113.1/24"}, "192.0.2.1/24", nil},
		{"none", 4, in{value: "none"}, "", nil},
		{"none keeps the stored address", 4, in{value: "none", stored: "203.0.113.1/24"}, "203.0.113.1/24", nil},
		{"address", 4, in{value: " 198.51.100.1 "}, "198.51.100.1/25", nil},
		{"address with length", 4, in{value: "198.51.100.1/16"}, "198.51.100.1/16", nil},
		{"address of no interface", 4, in{value: "203.0.113.1"}, "203.0.113.1/32", []string{
			"environment IP: no interface has the address 203.0.113.1; correct the variable, or assign the address to an " +
				"interface",
		}},
		{"address of the other family", 6, in{value: "192.0.2.1"}, "", []string{
			`environment IP6: "192.0.2.1" is not an IPv6 address of a node; the node has no IPv6 address; set autodetect, ` +
				"none, an address, or an address with a prefix length",
		}},
		{"nonsense keeps the stored address", 4, in{value: "x", stored: "203.0.113.1/24"}, "203.0.113.1/24", []string{
			`environment IP: "x" is not an IPv4 address of a node; the node keeps its address 203.0.113.1/24; set ` +
				"autodetect, none, an address, or an address with a prefix length",
		}},
		{"interface", 4, in{value: "autodetect", method: "interface=ens.*,bond.*"}, "198.51.100.1/25", nil},
		{"interface of other software", 4, in{value: "autodetect", method: "interface=docker0"}, "172.17.0.1/16", nil},
		{"interface of Calico", 4, in{value: "autodetect", method: "interface=calico|eth0"}, "192.0.2.1/24", nil},
		{"interface that is down", 4, in{value: "autodetect", method: "interface=eth9", stored: "192.0.2.9/24"}, "192.0.2.9/24", []string{
			"environment IP_AUTODETECTION_METHOD: interface=(?:eth9) finds no IPv4 address; the node keeps its address " +
				"192.0.2.9/24; choose another method, or set IP",
		}},
		{"skip interface", 4, in{value: "autodetect", method: "skip-interface=eth.*"}, "198.51.100.1/25", nil},
		{"CIDR", 4, in{value: "autodetect", method: "cidr=10.0.0.0/8, 198.51.0.0/16"}, "10.9.9.9/32", nil},
		{"CIDR of pods", 4, in{value: "autodetect", method: "cidr=10.244.0.0/16"}, "", []string{
			"environment IP_AUTODETECTION_METHOD: cidr=10.244.0.0/16 finds no IPv4 address; the node has no IPv4 address; " +
				"choose another method, or set IP",
		}},
		{"can reach", 4, in{value: "autodetect", method: "can-reach=198.51.100.9"}, "198.51.100.1/25", nil},
		{"can reach through a tunnel", 4, in{value: "autodetect", method: "can-reach=pod"}, "", []string{
			"environment IP_AUTODETECTION_METHOD: can-reach=pod finds no IPv4 address; the node has no IPv4 address; choose " +
				"another method, or set IP",
		}},
		{"cannot reach", 6, in{value: "autodetect", method: "can-reach=x", stored: "2001:db8::7/64"}, "2001:db8::7/64", []string{
			"environment IP6_AUTODETECTION_METHOD: can-reach=x finds no IPv6 address; the node keeps its address " +
				"2001:db8::7/64; choose another method, or set IP6",
		}},
		{"unknown method", 4, in{value: "autodetect", method: "guess"}, "", []string{
			`environment IP_AUTODETECTION_METHOD: "guess" is not a method of detection; the node has no IPv4 address; ` +
				errMethod.Error(),
		}},
		{"internal address", 4, in{value: "autodetect", method: "kubernetes-internal-ip", internal: "198.51.100.1"}, "198.51.100.1/25", nil},
		{
			"internal address of no interface", 4,
			in{value: "autodetect", method: "kubernetes-internal-ip", internal: "203.0.113.1"},
			"203.0.113.1/32", nil,
		},
		{"no internal address", 6, in{value: "autodetect", method: "kubernetes-internal-ip", internal: "203.0.113.1"}, "", []string{
			"environment IP6_AUTODETECTION_METHOD: the kubelet reports no IPv6 InternalIP; the node has no IPv6 address; " +
				"choose another method, or set IP6",
		}},
		{"internal address differs from the first", 4, in{value: "autodetect", internal: "198.51.100.1"}, "198.51.100.1/25", []string{
			"Node n: status.addresses: the kubelet reports the InternalIP 198.51.100.1 of bond0, which is used; first-found " +
				"finds 192.0.2.1 of eth0; set IP_AUTODETECTION_METHOD to kubernetes-internal-ip, or to another method that " +
				"finds the right address",
		}},
		{"internal address equals the first", 4, in{value: "autodetect", internal: "192.0.2.1"}, "192.0.2.1/24", nil},
		{"first-found ignores an internal address of no interface", 4, in{value: "autodetect", internal: "203.0.113.1"}, "192.0.2.1/24", nil},
		{"internal address does not override a method", 4, in{value: "autodetect", method: "interface=eth0", internal: "198.51.100.1"}, "192.0.2.1/24", nil},
	} {
		r := Request{Family: tt.f, Node: "n", Value: tt.in.value, Method: tt.in.method}
		if tt.in.stored != "" {
			r.Stored = netip.MustParsePrefix(tt.in.stored)
		}
		if tt.in.internal != "" {
			r.Internal = []netip.Addr{netip.MustParseAddr(tt.in.internal)}
		}
		got, findings := r.Address(typical())
		text := ""
		if got.IsValid() {
			text = got.String()
		}
		var lines []string
		for _, f := range findings {
			lines = append(lines, f.String())
		}
		if diff := cmp.Diff(tt.findings, lines); diff != "" || text != tt.want {
			t.Errorf("%s: got %q, want %q; findings, -want +got:\n%s", tt.name, text, tt.want, diff)
		}
	}
}

func TestInvalidMethods(t *testing.T) {
	for _, text := range []string{"can-reach=", "interface=", "interface=(", "skip-interface=a,,b", "cidr=", "cidr=x", "first-found=x", "="} {
		if m, err := parseMethod(text); err == nil {
			t.Errorf("%q is accepted as %v", text, m)
		}
	}
	if got := Destination(" can-reach=www.example.com "); got != "www.example.com" {
		t.Errorf("destination %q", got)
	}
	if got := Destination("first-found"); got != "" {
		t.Errorf("destination %q", got)
	}
}

// TestAddressIsUsable checks for any host that a detected address is one of a link that is up, or one that the kubelet
// reports; that a family that is not configured stays as it is; and that a failure keeps the stored address.
func TestAddressIsUsable(t *testing.T) {
	addrs := []string{"192.0.2.1/24", "10.0.0.1/8", "169.254.0.1/16", "127.0.0.1/8", "2001:db8::1/64", "fe80::1/64", "ff02::1/128"}
	rapid.Check(t, func(t *rapid.T) {
		var h Host
		for range rapid.IntRange(0, 4).Draw(t, "links") {
			l := link(rapid.SampledFrom([]string{"lo", "eth0", "cali1", "docker0", "vxlan.calico"}).Draw(t, "name"),
				rapid.SliceOfN(rapid.SampledFrom(addrs), 0, 3).Draw(t, "addresses")...)
			l.Up = rapid.Bool().Draw(t, "up")
			h.Links = append(h.Links, l)
		}
		r := Request{
			Family: rapid.SampledFrom([]model.Family{4, 6}).Draw(t, "family"),
			Value:  rapid.SampledFrom([]string{"autodetect", "", "none"}).Draw(t, "value"),
			Method: rapid.SampledFrom([]string{"", "interface=.", "skip-interface=x", "cidr=0.0.0.0/0,::/0", "kubernetes-internal-ip"}).Draw(t, "method"),
		}
		if rapid.Bool().Draw(t, "stored") {
			r.Stored = netip.MustParsePrefix(map[model.Family]string{4: "203.0.113.1/24", 6: "2001:db8::f/64"}[r.Family])
		}
		if rapid.Bool().Draw(t, "reported") {
			r.Internal = []netip.Addr{netip.MustParsePrefix(rapid.SampledFrom(addrs).Draw(t, "internal")).Addr()}
		}
		got, findings := r.Address(h)
		switch {
		case got == r.Stored:
			if r.Detects() && len(findings) == 0 {
				t.Error("no finding says that the detection failed")
			}
		case !r.Detects():
			t.Errorf("changed to %v without a detection", got)
		case !usable(got.Addr(), r.Family):
			t.Errorf("got %v", got)
		case !slices.ContainsFunc(h.Links, func(l Link) bool { return l.Up && slices.Contains(l.Addrs, got) }) &&
			!slices.Contains(r.Internal, got.Addr()):
			t.Errorf("got %v, which no link has", got)
		}
	})
}

func TestConfirmationNeedsLaterDetection(t *testing.T) {
	a, b, c := netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("192.0.2.2/24"), netip.MustParsePrefix("192.0.2.3/24")
	var none netip.Prefix
	var got Confirmation
	current, now := none, time.Unix(1e9, 0)
	for i, step := range []struct {
		after          time.Duration
		detected, want netip.Prefix
	}{
		{0, none, none},
		{0, a, a}, // the first address
		// A change that does not last, although it is detected several times.
		{settle, b, a},
		{time.Millisecond, b, a},
		{settle - 2*time.Millisecond, b, a},
		{0, a, a},
		// One that lasts.
		{settle, b, a},
		{settle, b, b},
		{0, b, b},
		// Other results in between start the time again.
		{0, c, b},
		{settle, a, b},
		{time.Second, none, b},
		{settle, none, b},
		{time.Second, c, b},
		{settle - 1, c, b},
		{1, c, c},
	} {
		now = now.Add(step.after)
		if current = got.Next(current, step.detected, now); current != step.want {
			t.Fatalf("step %d: %v, want %v", i, current, step.want)
		}
	}
}

func TestInterfaces(t *testing.T) {
	want := `[{"name":"eth0","addresses":["169.254.7.7","192.0.2.1","192.0.2.2","fe80::1","2001:db8::1"]},` +
		`{"name":"bond0","addresses":["198.51.100.1","2001:db8:1::1"]}]`
	if got := typical().Interfaces(); got != want {
		t.Errorf("got %s", got)
	}
	if got := (Host{}).Interfaces(); got != "" {
		t.Errorf("got %s", got)
	}
}
