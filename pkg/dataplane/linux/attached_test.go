// SPDX-License-Identifier: Apache-2.0

package linux_test

import (
	"net"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"calico-cni/internal/nettest"
	"calico-cni/pkg/dataplane"
	"calico-cni/pkg/dataplane/linux"
)

// attachedPod is a node with one attached pod, which a test can damage.
type attachedPod struct {
	node, pod *nettest.NetNS
	spec      dataplane.Spec
}

func newAttachedPod(t *testing.T) *attachedPod {
	t.Helper()
	node, pod := newNode(t), newPod(t)
	spec := specFor(pod, addr4, addr6)
	mustSetup(t, node, linux.New(""), spec)
	return &attachedPod{node, pod, spec}
}

// link returns a link of the caller's namespace.
func (*attachedPod) link(t *testing.T, name string) netlink.Link {
	t.Helper()
	link, err := netlink.LinkByName(name)
	must(t, err)
	return link
}

// rename gives a link another name, so that it is not found by its old one.
func (w *attachedPod) rename(t *testing.T, ns *nettest.NetNS, name string) {
	t.Helper()
	ns.Do(func() {
		link := w.link(t, name)
		must(t, netlink.LinkSetDown(link))
		must(t, netlink.LinkSetName(link, "renamed"))
		must(t, netlink.LinkSetUp(link))
	})
}

// down takes a link down and waits until its peer has lost its carrier.
func (w *attachedPod) down(t *testing.T, ns *nettest.NetNS, name string, otherNS *nettest.NetNS, other string) {
	t.Helper()
	ns.Do(func() { must(t, netlink.LinkSetDown(w.link(t, name))) })
	w.await(t, otherNS, other, func(s netlink.LinkOperState) bool { return s != netlink.OperUp })
}

// await waits until the operational state of a link is a wanted one, for waitTimeout at most.
func (w *attachedPod) await(t *testing.T, ns *nettest.NetNS, name string, wanted func(netlink.LinkOperState) bool) {
	t.Helper()
	deadline := time.Now().Add(waitTimeout)
	ns.Do(func() {
		for !wanted(w.link(t, name).Attrs().OperState) {
			if time.Now().After(deadline) {
				t.Fatalf("%s is still %s", name, w.link(t, name).Attrs().OperState)
			}
			time.Sleep(time.Millisecond)
		}
	})
}

func isUp(s netlink.LinkOperState) bool   { return s == netlink.OperUp }
func isDown(s netlink.LinkOperState) bool { return s == netlink.OperDown }

func (w *attachedPod) delRoute(t *testing.T, ns *nettest.NetNS, through, cidr string) {
	t.Helper()
	_, dst, err := net.ParseCIDR(cidr)
	must(t, err)
	ns.Do(func() {
		// A deletion with this scope matches a route of any scope.
		must(t, netlink.RouteDel(&netlink.Route{
			LinkIndex: w.link(t, through).Attrs().Index, Dst: dst,
			Scope: netlink.SCOPE_NOWHERE,
		}))
	})
}

// detectDuplicates adds the pod's IPv6 address again, with the given number of solicitations, one per second.
func (w *attachedPod) detectDuplicates(t *testing.T, solicitations string) {
	t.Helper()
	writeSysctl(t, w.pod, "ipv6/conf/"+ifName+"/accept_dad", "1")
	writeSysctl(t, w.pod, "ipv6/conf/"+ifName+"/dad_transmits", solicitations)
	w.pod.Do(func() {
		link := w.link(t, ifName)
		must(t, netlink.AddrDel(link, &netlink.Addr{IPNet: ipNet(addr6)}))
		must(t, netlink.AddrAdd(link, &netlink.Addr{IPNet: ipNet(addr6)}))
	})
}
