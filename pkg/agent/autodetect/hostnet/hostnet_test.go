// SPDX-License-Identifier: Apache-2.0

package hostnet

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"calico-cni/internal/nettest"
	"calico-cni/pkg/agent/autodetect"
)

// lookup knows one name, with addresses of both families.
func lookup(_ context.Context, network, host string) ([]netip.Addr, error) {
	if host != "gateway.example" {
		return nil, errors.New("no such host")
	}
	return map[string][]netip.Addr{
		"ip4": {netip.MustParseAddr("::ffff:198.51.100.9")},
		"ip6": {netip.MustParseAddr("2001:db8::9")},
	}[network], nil
}

func addLink(t *testing.T, name string, up bool, addrs ...*netlink.Addr) {
	t.Helper()
	l := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name}}
	err := netlink.LinkAdd(l)
	if up {
		err = errors.Join(err, netlink.LinkSetUp(l))
	}
	for _, a := range addrs {
		err = errors.Join(err, netlink.AddrAdd(l, a))
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func addr(t *testing.T, text string, flags int) *netlink.Addr {
	t.Helper()
	a, err := netlink.ParseAddr(text)
	if err != nil {
		t.Fatal(err)
	}
	a.Flags = flags
	return a
}

func TestRead(t *testing.T) {
	nettest.NewNetNS(t).Do(func() {
		addLink(t, "eth1", true, addr(t, "192.0.2.1/24", 0), addr(t, "192.0.2.2/24", 0))
		deprecated := addr(t, "2001:db8::7/64", unix.IFA_F_NODAD)
		deprecated.ValidLft = 1000 // with a preferred lifetime of 0
		addLink(t, "eth0", true, addr(t, "198.51.100.1/25", 0), addr(t, "2001:db8::1/64", unix.IFA_F_NODAD), deprecated)
		addLink(t, "eth2", false, addr(t, "203.0.113.1/24", 0))
		got, err := Read(t.Context(), lookup, Destination{Name: "gateway.example"},
			Destination{"2001:db8::9", true}, Destination{"203.0.113.9", false}, Destination{"unknown.example", true})
		if err != nil {
			t.Fatal(err)
		}
		prefixes := func(all ...string) (out []netip.Prefix) {
			for _, p := range all {
				out = append(out, netip.MustParsePrefix(p))
			}
			return out
		}
		want := autodetect.Host{
			Links: []autodetect.Link{
				{Name: "lo", Loopback: true},
				{Name: "eth1", Up: true, Addrs: prefixes("192.0.2.1/24", "192.0.2.2/24")},
				{Name: "eth0", Up: true, Addrs: prefixes("198.51.100.1/25", "2001:db8::1/64")},
				{Name: "eth2", Addrs: prefixes("203.0.113.1/24")},
			},
			Sources: map[string]netip.Addr{
				"gateway.example": netip.MustParseAddr("198.51.100.1"), "2001:db8::9": netip.MustParseAddr("2001:db8::1"),
			},
		}
		for i := range got.Links {
			// The link-local addresses of IPv6 are random.
			for j := len(got.Links[i].Addrs) - 1; j >= 0; j-- {
				if got.Links[i].Addrs[j].Addr().IsLinkLocalUnicast() {
					got.Links[i].Addrs = append(got.Links[i].Addrs[:j], got.Links[i].Addrs[j+1:]...)
				}
			}
		}
		compare := cmp.Options{
			cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
		}
		for i := range got.Links {
			if len(got.Links[i].Addrs) == 0 {
				got.Links[i].Addrs = nil
			}
		}
		if diff := cmp.Diff(want, got, compare); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}
