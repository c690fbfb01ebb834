// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"calico-cni/internal/nettest"
)

// TestWatch makes one change of each kind, and expects to be told. It then makes changes that concern nobody.
func TestWatch(t *testing.T) {
	ns := nettest.NewNetNS(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	changes := make(chan struct{}, 1000)
	ended := make(chan error, 1)
	ns.Do(func() {
		w, err := Subscribe()
		if err != nil {
			t.Fatal(err)
		}
		go func() { ended <- w.Run(ctx, func() { changes <- struct{}{} }) }()
	})
	link := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "a"}, PeerName: "b"}
	mac, addr := net.HardwareAddr{2, 0, 0, 0, 0, 1}, net.IPv4(10, 0, 0, 2)
	_, dest, _ := net.ParseCIDR("10.1.0.0/24")
	neigh := netlink.Neigh{Family: netlink.FAMILY_V4, State: netlink.NUD_PERMANENT, IP: addr, HardwareAddr: mac}
	fdb := netlink.Neigh{
		Family: 7, Flags: netlink.NTF_SELF, State: netlink.NUD_PERMANENT, IP: net.IPv4(192, 0, 2, 1), HardwareAddr: mac,
	}
	vxlan := &netlink.Vxlan{LinkAttrs: netlink.LinkAttrs{Name: "v"}, VxlanId: 1, Port: 4789}
	for _, c := range []struct {
		name string
		make func() error
		seen bool
	}{
		{"create a link", func() error { return netlink.LinkAdd(link) }, true},
		{"set it up", func() error { return netlink.LinkSetUp(link) }, true},
		{"add an address", func() error {
			return netlink.AddrAdd(link, &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(10, 0, 0, 1), Mask: net.CIDRMask(24, 32)}})
		}, true},
		{"add a route", func() error { return netlink.RouteAdd(&netlink.Route{LinkIndex: link.Index, Dst: dest}) }, true},
		{"add a permanent neighbour", func() error {
			neigh.LinkIndex = link.Index
			return netlink.NeighAdd(&neigh)
		}, true},
		{"delete it", func() error { return netlink.NeighDel(&neigh) }, true},
		{"create a VXLAN device", func() error { return netlink.LinkAdd(vxlan) }, true},
		{"add a forwarding entry", func() error {
			fdb.LinkIndex = vxlan.Index
			return netlink.NeighAppend(&fdb)
		}, true},
		{"delete it", func() error { return netlink.NeighDel(&fdb) }, true},
		{"learn a neighbour", func() error {
			neigh.State = netlink.NUD_REACHABLE
			return netlink.NeighAdd(&neigh)
		}, false},
		{"delete a link", func() error { return netlink.LinkDel(link) }, true},
	} {
		quiet(changes)
		var err error
		ns.Do(func() { err = c.make() })
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if !c.seen {
			select {
			case <-changes:
				t.Errorf("%s: reported", c.name)
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		select {
		case <-changes:
		case <-time.After(10 * time.Second):
			t.Errorf("%s: not reported", c.name)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// quiet waits until no change has been reported for some time. The kernel reports the state of a link with a delay.
func quiet(changes chan struct{}) {
	for {
		select {
		case <-changes:
		case <-time.After(200 * time.Millisecond):
			return
		}
	}
}
