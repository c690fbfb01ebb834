// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"calico-cni/test/proxy"
)

// routedAway creates a pool of two addresses. The host routes the first one to a live pod.
func routedAway(t *testing.T) (free netip.Addr) {
	t.Helper()
	neighbour := add(t, newPod(t, "conflict-alive"), nil)
	onlyPools(t, func() { must(t, n.Datastore.CreatePool(t.Context(), "conflict", "10.86.0.0/31", 31)) })
	taken := netip.MustParseAddr("10.86.0.0")
	link, err := netlink.LinkByName(neighbour.Interfaces[0].Name)
	must(t, err)
	must(t, netlink.RouteAdd(&netlink.Route{
		LinkIndex: link.Attrs().Index, Dst: host32(taken.AsSlice()),
		Scope: netlink.SCOPE_LINK,
	}))
	return taken.Next()
}

func TestAddOfAddressRoutedToLivePodUsesAnother(t *testing.T) {
	free, p := routedAway(t), newPod(t, "conflict")
	a := attach(t, "calico", p, map[string]any{"ipam.assign_ipv6": "false"})
	if got := addrs(t, resultOf(t, a)); len(got) != 1 || got[0] != free {
		t.Errorf("addresses %v, want %s", got, free)
	}
	ping(t, "host to pod", nil, free)
	if s := state(t); strings.Count(s, "block 10-86-0-0-31 holds") != 1 {
		t.Errorf("the other address is still allocated:\n%s", s)
	}
}

// TestAddOfAddressOfHostUsesAnother covers a conflict that the kernel does not report when the route to the pod is
// added: the host keeps packets for the address.
func TestAddOfAddressOfHostUsesAnother(t *testing.T) {
	onlyPools(t, func() { must(t, n.Datastore.CreatePool(t.Context(), "shadowed", "10.87.0.0/31", 31)) })
	taken := netip.MustParseAddr("10.87.0.0")
	lo, err := netlink.LinkByName("lo")
	must(t, err)
	local := &netlink.Route{
		LinkIndex: lo.Attrs().Index, Dst: host32(taken.AsSlice()), Protocol: 66,
		Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL, Scope: netlink.SCOPE_HOST,
	}
	must(t, netlink.RouteAdd(local))
	t.Cleanup(func() { must(t, netlink.RouteDel(local)) })
	v4 := map[string]any{"ipam.assign_ipv6": "false"}

	first := newPod(t, "shadowed")
	if got := addrs(t, resultOf(t, attach(t, "calico", first, v4))); len(got) != 1 || got[0] != taken.Next() {
		t.Errorf("addresses %v, want %s", got, taken.Next())
	}
	ping(t, "host to pod", nil, taken.Next())

	// Only the address of the host is left now.
	second := newPod(t, "shadowed-second")
	unchanged(t, "the ADD", func() {
		a := call(t, "ADD", second, v4)
		if a.Exit == 0 {
			t.Errorf("ADD with an address of the host: %+v", a)
		}
		for _, want := range []string{"local 10.87.0.0/32 dev lo table local proto 66", "IPReservation"} {
			if !strings.Contains(a.Stdout, want) {
				t.Errorf("answer %s lacks %q", a.Stdout, want)
			}
		}
	})
}

// The handle is read for the release, after the second assignment has read it.
func TestFailedAddReleasesConflictingAddress(t *testing.T) {
	routedAway(t)
	through, p, reads := proxy.Start(t, n.Kubeconfig()), newPod(t, "conflict-fault"), 0
	changes := map[string]any{
		"ipam.assign_ipv6":      "false",
		"kubernetes.kubeconfig": through.Kubeconfig(t, n.Kubeconfig()),
	}
	unchanged(t, "the ADD", func() {
		through.Arm(&proxy.Fault{Status: http.StatusForbidden, Matches: func(method, path string) bool {
			if method == "GET" && strings.Contains(path, "/ipamhandles/") {
				reads++
			}
			return reads == 2
		}})
		if a := call(t, "ADD", p, changes); a.Exit == 0 || !through.Fired() {
			t.Errorf("ADD: %+v, fault fired: %t", a, through.Fired())
		}
	})
}
