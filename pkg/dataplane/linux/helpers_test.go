// SPDX-License-Identifier: Apache-2.0

package linux_test

import (
	"context"
	"flag"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"calico-cni/internal/nettest"
	"calico-cni/pkg/dataplane"
)

const (
	ifName     = "eth0"
	hostIfName = "cali0123456789a"
)

// kind is the kind of pair that the tests attach pods with. Netkit needs a kernel that supports it: `make test-netkit`.
var kind = flag.String("kind", string(dataplane.Veth), "the kind of the pairs that are made: veth or netkit")

var (
	addr4    = netip.MustParseAddr("10.65.0.7")
	addr6    = netip.MustParseAddr("fd00:65::7")
	families = []struct {
		name  string
		addrs []netip.Addr
	}{
		{"ipv4", []netip.Addr{addr4}},
		{"ipv6", []netip.Addr{addr6}},
		{"dual", []netip.Addr{addr4, addr6}},
	}
)

// newNode returns a namespace that serves as the host: lo is up, and there are no routes.
func newNode(tb testing.TB) *nettest.NetNS {
	tb.Helper()
	node := nettest.NewNetNS(tb)
	node.Do(func() {
		lo, err := netlink.LinkByName("lo")
		must(tb, err)
		must(tb, netlink.LinkSetUp(lo))
	})
	writeSysctl(tb, node, "ipv4/ip_forward", "0") // Otherwise inherited from the machine.
	return node
}

// newPod returns a namespace that serves as the pod. Its lo is up, as a runtime leaves it.
func newPod(tb testing.TB) *nettest.NetNS {
	tb.Helper()
	return newNode(tb)
}

func specFor(pod *nettest.NetNS, addrs ...netip.Addr) dataplane.Spec {
	return dataplane.Spec{
		Handle:     "net.sandbox-1",
		NetNS:      pod.Path,
		IfName:     ifName,
		HostIfName: hostIfName,
		Netkit:     *kind == string(dataplane.Netkit),
		MTU:        1440,
		MAC:        net.HardwareAddr{0x02, 0, 0, 0, 0, 0x07},
		Addrs:      addrs,
	}
}

func targetOf(spec dataplane.Spec) dataplane.Target {
	_, container, _ := strings.Cut(spec.Handle, ".")
	return dataplane.Target{
		Handle: spec.Handle, ContainerID: container, NetNS: spec.NetNS,
		IfName: spec.IfName, HostIfName: spec.HostIfName, SecondHostIfName: spec.SecondHostIfName,
	}
}

func mustSetup(tb testing.TB, node *nettest.NetNS, d dataplane.Interface, spec dataplane.Spec) dataplane.Endpoint {
	tb.Helper()
	endpoint, err := setup(tb.Context(), node, d, spec)
	must(tb, err)
	return endpoint
}

func setup(ctx context.Context, node *nettest.NetNS, d dataplane.Interface,
	spec dataplane.Spec,
) (endpoint dataplane.Endpoint, err error) {
	node.Do(func() { endpoint, err = d.Setup(ctx, spec) })
	return endpoint, err
}

func teardown(tb testing.TB, node *nettest.NetNS, d dataplane.Interface, target dataplane.Target) (err error) {
	tb.Helper()
	node.Do(func() { _, err = d.Teardown(tb.Context(), target) })
	return err
}

// addLink adds a link with the addresses to a namespace and brings it up.
func addLink(tb testing.TB, ns *nettest.NetNS, name string, addrs ...netip.Addr) netlink.Link {
	tb.Helper()
	link := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name, TxQLen: -1}}
	ns.Do(func() {
		must(tb, netlink.LinkAdd(link))
		must(tb, netlink.LinkSetUp(link))
		for _, addr := range addrs {
			must(tb, netlink.AddrAdd(link, &netlink.Addr{IPNet: ipNet(addr), Flags: nodad(addr)}))
		}
	})
	return link
}

func nodad(addr netip.Addr) int {
	if addr.Is6() {
		return unix.IFA_F_NODAD
	}
	return 0
}

func ipNet(addr netip.Addr) *net.IPNet {
	return &net.IPNet{IP: addr.AsSlice(), Mask: net.CIDRMask(addr.BitLen(), addr.BitLen())}
}

func writeSysctl(tb testing.TB, ns *nettest.NetNS, name, value string) {
	tb.Helper()
	ns.Do(func() { must(tb, os.WriteFile("/proc/sys/net/"+name, []byte(value), 0)) })
}

// state returns the state of a namespace. It hides whether link-local addresses of the kernel are tentative, because
// that depends on time.
func state(tb testing.TB, ns *nettest.NetNS) string {
	tb.Helper()
	return strings.ReplaceAll(ns.Dump(), "scope=link permanent tentative\n", "scope=link permanent\n")
}

// wantSame fails the test if the state of a namespace differs from before.
func wantSame(tb testing.TB, side, before string, ns *nettest.NetNS) {
	tb.Helper()
	if diff := cmp.Diff(before, state(tb, ns)); diff != "" {
		tb.Errorf("%s has changed (-before +after):\n%s", side, diff)
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
