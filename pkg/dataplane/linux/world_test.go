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

// world is a node with one pod attached, for a test to damage.
type world struct {
	node, pod *nettest.NetNS
	spec      dataplane.Spec
}

func newWorld(t *testing.T) *world {
	t.Helper()
	node, pod := newNode(t), newPod(t)
	spec := specFor(pod, addr4, addr6)
	mustSetup(t, node, linux.New(""), spec)
	return &world{node, pod, spec}
}

// link is one of the namespace that the caller is in.
func (*world) link(t *testing.T, name string) netlink.Link {
	t.Helper()
	link, err := netlink.LinkByName(name)
	must(t, err)
	return link
}

// rename hides a link.
func (w *world) rename(t *testing.T, ns *nettest.NetNS, name string) {
	t.Helper()
	ns.Do(func() {
		link := w.link(t, name)
		must(t, netlink.LinkSetDown(link))
		must(t, netlink.LinkSetName(link, "renamed"))
		must(t, netlink.LinkSetUp(link))
	})
}

// down takes a link down and waits until the other end has lost its carrier.
func (w *world) down(t *testing.T, ns *nettest.NetNS, name string, otherNS *nettest.NetNS, other string) {
	t.Helper()
	ns.Do(func() { must(t, netlink.LinkSetDown(w.link(t, name))) })
	w.await(t, otherNS, other, func(s netlink.LinkOperState) bool { return s != netlink.OperUp })
}

// await waits until the kernel has noticed the state of a link, for the test's patience at most.
func (w *world) await(t *testing.T, ns *nettest.NetNS, name string, wanted func(netlink.LinkOperState) bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	ns.Do(func() {
		for !wanted(w.link(t, name).Attrs().OperState) {
			if time.Now().After(deadline) {
				t.Fatalf("%s stays %s", name, w.link(t, name).Attrs().OperState)
			}
			time.Sleep(time.Millisecond)
		}
	})
}

func isUp(s netlink.LinkOperState) bool   { return s == netlink.OperUp }
func isDown(s netlink.LinkOperState) bool { return s == netlink.OperDown }

func (w *world) delRoute(t *testing.T, ns *nettest.NetNS, through, cidr string) {
	t.Helper()
	_, dst, err := net.ParseCIDR(cidr)
	must(t, err)
	ns.Do(func() {
		// The scope is that of any route.
		must(t, netlink.RouteDel(&netlink.Route{LinkIndex: w.link(t, through).Attrs().Index, Dst: dst, Scope: netlink.SCOPE_NOWHERE}))
	})
}

// detectDuplicates adds the pod's IPv6 address anew, with that many solicitations, one a second.
func (w *world) detectDuplicates(t *testing.T, solicitations string) {
	t.Helper()
	writeSysctl(t, w.pod, "ipv6/conf/"+ifName+"/accept_dad", "1")
	writeSysctl(t, w.pod, "ipv6/conf/"+ifName+"/dad_transmits", solicitations)
	w.pod.Do(func() {
		link := w.link(t, ifName)
		must(t, netlink.AddrDel(link, &netlink.Addr{IPNet: ipNet(addr6)}))
		must(t, netlink.AddrAdd(link, &netlink.Addr{IPNet: ipNet(addr6)}))
	})
}
