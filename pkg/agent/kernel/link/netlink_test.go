// SPDX-License-Identifier: Apache-2.0

package link_test

import (
	"context"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"calico-cni/internal/nettest"
	"calico-cni/pkg/agent/kernel/link"
	"calico-cni/pkg/netstate"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// inNode runs a test in a namespace with a parent for VXLAN devices, whose MTU is 1500.
func inNode(t *testing.T, test func(d link.Driver)) {
	t.Helper()
	nettest.NewNetNS(t).Do(func() {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = "eth0"
		must(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "peer"}))
		n, err := link.Open()
		must(t, err)
		defer n.Close()
		test(link.Driver{Kernel: n})
	})
}

func TestLinkLocalAddressStays(t *testing.T) {
	inNode(t, func(d link.Driver) {
		for range 2 {
			if r := d.Apply(context.Background(), []netstate.Device{device(nil)}); r.Err != nil || r.Faults != nil {
				t.Fatalf("report %+v", r)
			}
		}
		vxlan, err := netlink.LinkByName(link.VXLANv4)
		must(t, err)
		addrs, err := netlink.AddrList(vxlan, netlink.FAMILY_V6)
		must(t, err)
		if len(addrs) != 1 || !addrs[0].IP.IsLinkLocalUnicast() {
			t.Errorf("IPv6 addresses %v, want the link-local one", addrs)
		}
	})
}

func TestRefusalsOfTheKernelHaveARemedy(t *testing.T) {
	tests := map[string]struct {
		change func(*netstate.Device)
		want   string
	}{
		"MTU that does not fit": {func(d *netstate.Device) { d.MTU = 1480 }, "leave room for the outer headers in the MTU of eth0"},
		"missing parent":        {func(d *netstate.Device) { d.VXLAN.Parent = "eth9" }, "look up parent eth9"},
		"taken VNI":             {func(d *netstate.Device) { d.VXLAN.VNI = 77 }, "another VXLAN device uses VNI 77 and port 4789"},
	}
	for name, test := range tests {
		inNode(t, func(d link.Driver) {
			attrs := netlink.NewLinkAttrs()
			attrs.Name = "other"
			must(t, netlink.LinkAdd(&netlink.Vxlan{LinkAttrs: attrs, VxlanId: 77, Port: 4789}))
			var faults []error
			for range 2 {
				faults = d.Apply(context.Background(), []netstate.Device{device(test.change)}).Faults
			}
			if len(faults) != 1 || !strings.Contains(faults[0].Error(), test.want) {
				t.Errorf("%s: faults %v, want one that says %q", name, faults, test.want)
			}
		})
	}
}
