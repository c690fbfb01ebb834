// SPDX-License-Identifier: Apache-2.0

package route_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"calico-cni/internal/nettest"
	"calico-cni/pkg/agent/kernel/route"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// addVeth adds a link that is up, with an address.
func addVeth(t *testing.T, name, addr string) int {
	t.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	must(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "p-" + name}))
	for _, end := range []string{name, "p-" + name} {
		link, err := netlink.LinkByName(end)
		must(t, err)
		must(t, netlink.LinkSetUp(link))
	}
	link, err := netlink.LinkByName(name)
	must(t, err)
	a, err := netlink.ParseAddr(addr)
	must(t, err)
	must(t, netlink.AddrAdd(link, a))
	return link.Attrs().Index
}

func cidr(text string) *net.IPNet {
	_, n, _ := net.ParseCIDR(text)
	return n
}

// ofOthers counts the routes that the agent does not own, without those that the kernel adds some time after a link has
// become ready.
func ofOthers(a route.Actual) (n int) {
	for _, f := range a.Routes {
		if to := f.Route.Dest.Addr(); !owner.Owns(f) && !to.IsLinkLocalUnicast() && !to.IsMulticast() {
			n++
		}
	}
	return n
}

func TestOwnRoutesOfAnyFormAreDeleted(t *testing.T) {
	nettest.NewNetNS(t).Do(func() {
		eth0, cali1 := addVeth(t, "eth0", "198.18.0.1/24"), addVeth(t, "cali1", "169.254.1.1/32")
		gateway := net.ParseIP("198.18.0.2")
		hops := []*netlink.NexthopInfo{
			{LinkIndex: eth0, Gw: gateway, Hops: 1}, {LinkIndex: eth0, Gw: net.ParseIP("198.18.0.3"), Hops: 2},
		}
		for _, r := range []*netlink.Route{
			{LinkIndex: cali1, Dst: cidr("10.1.0.1/32"), Scope: netlink.SCOPE_UNIVERSE},
			{LinkIndex: cali1, Dst: cidr("10.1.0.2/32"), Scope: netlink.SCOPE_LINK, Tos: 8},
			{LinkIndex: cali1, Dst: cidr("10.1.0.3/32"), Scope: netlink.SCOPE_LINK, Src: net.ParseIP("198.18.0.1")},
			{LinkIndex: cali1, Dst: cidr("10.1.0.4/32"), Scope: netlink.SCOPE_LINK, AdvMSS: 1000, MTU: 1300},
			{LinkIndex: cali1, Dst: cidr("10.1.0.5/32"), Scope: netlink.SCOPE_LINK, Priority: 7, Protocol: unix.RTPROT_STATIC},
			{LinkIndex: cali1, Dst: cidr("fd00:1::1/128"), Priority: 7},
			{MultiPath: hops, Dst: cidr("10.2.0.0/26"), Protocol: 80},
			{LinkIndex: eth0, Gw: gateway, Dst: cidr("10.3.0.0/26"), Protocol: 80},
			{Type: unix.RTN_UNREACHABLE, Dst: cidr("10.4.0.0/26"), Protocol: 80},
			{Type: unix.RTN_PROHIBIT, Dst: cidr("fd00:4::/122"), Protocol: 80},
		} {
			must(t, netlink.RouteAdd(r))
		}
		n, err := route.Open()
		must(t, err)
		defer n.Close()
		before, err := n.Read()
		must(t, err)
		d := route.Driver{Kernel: n, Owner: owner}
		now := time.Unix(1e9, 0)
		d.Apply(context.Background(), now, nil)
		report := d.Apply(context.Background(), now.Add(time.Hour), nil)
		if report.Faults != nil || report.Err != nil {
			t.Errorf("report %+v", report)
		}
		after, err := n.Read()
		must(t, err)
		for _, f := range after.Routes {
			if owner.Owns(f) {
				t.Errorf("the kernel still has %s", f)
			}
		}
		if was, is := ofOthers(before), ofOthers(after); was != is {
			t.Errorf("%d routes of others before, %d after", was, is)
		}
	})
}
