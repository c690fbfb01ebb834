// SPDX-License-Identifier: Apache-2.0

package linux_test

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"calico-cni/internal/nettest"
	"calico-cni/pkg/dataplane"
	"calico-cni/pkg/dataplane/linux"
)

// occupy routes an address through an interface of the node.
func occupy(t *testing.T, node *nettest.NetNS, addr netip.Addr, through string) {
	t.Helper()
	node.Do(func() {
		link, err := netlink.LinkByName(through)
		must(t, err)
		must(t, netlink.RouteReplace(&netlink.Route{
			LinkIndex: link.Attrs().Index, Dst: ipNet(addr),
			Scope: netlink.SCOPE_LINK,
		}))
	})
}

// addPeers gives the node an interface with a carrier that belongs to no pod.
func addPeers(t *testing.T, node *nettest.NetNS) {
	t.Helper()
	node.Do(func() {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.Alias = "other0", "other/interface"
		veth := netlink.NewVeth(attrs)
		veth.PeerName = "other1"
		must(t, netlink.LinkAdd(veth))
		must(t, netlink.LinkSetAlias(veth, "other/interface"))
		must(t, netlink.LinkSetUp(veth))
		peer, err := netlink.LinkByName("other1")
		must(t, err)
		must(t, netlink.LinkSetUp(peer))
	})
	(&attachedPod{}).await(t, node, "other0", isUp)
	(&attachedPod{}).await(t, node, "other1", isUp)
}

func TestRouteConflictNamesInterfaceAndOwner(t *testing.T) {
	for _, addr := range []netip.Addr{addr4, addr6} {
		for _, c := range []struct {
			name   string
			occupy func(t *testing.T, node *nettest.NetNS)
			want   dataplane.RouteConflictError
		}{
			{"an interface that belongs to no pod", func(t *testing.T, node *nettest.NetNS) {
				addPeers(t, node)
				occupy(t, node, addr, "other0")
			}, dataplane.RouteConflictError{HostIfName: "other0"}},
			{"another pod", func(t *testing.T, node *nettest.NetNS) {
				spec := specFor(newPod(t), addr)
				spec.Handle, spec.HostIfName = "net.sandbox-2", "cali00000000000"
				mustSetup(t, node, linux.New(""), spec)
			}, dataplane.RouteConflictError{HostIfName: "cali00000000000", Owner: "net.sandbox-2"}},
			{"a pod of Calico", func(t *testing.T, node *nettest.NetNS) {
				spec := specFor(newPod(t), addr)
				spec.HostIfName = "cali00000000000"
				mustSetup(t, node, linux.New(""), spec)
				setAlias(t, node, "cali00000000000", "")
			}, dataplane.RouteConflictError{HostIfName: "cali00000000000"}},
		} {
			t.Run(c.name+" has "+addr.String(), func(t *testing.T) {
				node, pod := newNode(t), newPod(t)
				c.occupy(t, node)
				c.want.Addr, c.want.Route = addr, ipNet(addr).String()+" dev "+c.want.HostIfName+" table main proto 3"
				if addr.Is6() {
					c.want.Route += " metric 1024"
				}
				beforeNode, beforePod := state(t, node), state(t, pod)
				_, err := setup(t.Context(), node, linux.New(""), specFor(pod, addr4, addr6))
				var got *dataplane.RouteConflictError
				if !errors.As(err, &got) || !errors.Is(err, dataplane.ErrRouteConflict) {
					t.Fatalf("error is %v, want a RouteConflictError", err)
				}
				if diff := cmp.Diff(c.want, *got,
					cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				wantSame(t, "host", beforeNode, node)
				wantSame(t, "pod", beforePod, pod)
			})
		}
	}
}

// deadRoutes are the kinds of dead routes.
var deadRoutes = []struct {
	name string
	make func(t *testing.T, node *nettest.NetNS, addr netip.Addr)
}{
	{"no carrier", func(t *testing.T, node *nettest.NetNS, addr netip.Addr) {
		addPeers(t, node)
		occupy(t, node, addr, "other0")
		(&attachedPod{}).down(t, node, "other1", node, "other0")
	}},
	{"blackhole", refuse(unix.RTN_BLACKHOLE)},
	{"unreachable", refuse(unix.RTN_UNREACHABLE)},
	{"prohibit", refuse(unix.RTN_PROHIBIT)},
}

func refuse(kind int) func(*testing.T, *nettest.NetNS, netip.Addr) {
	return func(t *testing.T, node *nettest.NetNS, addr netip.Addr) {
		node.Do(func() { must(t, netlink.RouteAdd(&netlink.Route{Dst: ipNet(addr), Type: kind})) })
	}
}

func TestSetupReplacesDeadRoute(t *testing.T) {
	for _, c := range deadRoutes {
		for _, addr := range []netip.Addr{addr4, addr6} {
			t.Run(c.name+" for "+addr.String(), func(t *testing.T) {
				node, pod := newNode(t), newPod(t)
				d, spec := linux.New(""), specFor(pod, addr4, addr6)
				c.make(t, node, addr)
				mustSetup(t, node, d, spec)
				if err := check(t, node, pod, spec); err != nil {
					t.Error(err)
				}
				must(t, teardown(t, node, d, targetOf(spec)))
				node.Do(func() {
					if routes, err := netlink.RouteGet(addr.AsSlice()); err == nil ||
						!errors.Is(err, unix.ENETUNREACH) {
						t.Errorf("a route is left: %v, %v", routes, err)
					}
				})
			})
		}
	}
}

func TestSetupRestoresDeadRouteAfterConflict(t *testing.T) {
	for _, c := range deadRoutes {
		for _, addrs := range [][2]netip.Addr{{addr4, addr6}, {addr6, addr4}} {
			t.Run(c.name+" for "+addrs[0].String(), func(t *testing.T) {
				node, pod := newNode(t), newPod(t)
				other := specFor(newPod(t), addrs[1])
				other.HostIfName = "cali00000000000"
				mustSetup(t, node, linux.New(""), other)
				c.make(t, node, addrs[0])
				beforeNode, beforePod := state(t, node)+refusals(t, node), state(t, pod)
				_, err := setup(t.Context(), node, linux.New(""), specFor(pod, addrs[0], addrs[1]))
				if !errors.Is(err, dataplane.ErrRouteConflict) {
					t.Errorf("error is %v, want ErrRouteConflict", err)
				}
				if diff := cmp.Diff(beforeNode, state(t, node)+refusals(t, node)); diff != "" {
					t.Errorf("host has changed (-before +after):\n%s", diff)
				}
				wantSame(t, "pod", beforePod, pod)
			})
		}
	}
}

// refusals returns the kernel's answer to a lookup of each address; it shows routes that have no interface.
func refusals(t *testing.T, node *nettest.NetNS) (text string) {
	t.Helper()
	node.Do(func() {
		for _, addr := range []netip.Addr{addr4, addr6} {
			if _, err := netlink.RouteGet(addr.AsSlice()); err != nil {
				text += addr.String() + ": " + err.Error() + "\n"
			}
		}
	})
	return text
}

// A wider blackhole, such as that of a block, is not a conflict and is kept.
func TestSetupKeepsBlackholeOfBlock(t *testing.T) {
	node, pod := newNode(t), newPod(t)
	for _, block := range []string{"10.65.0.0/26", "fd00:65::/122"} {
		block := netip.MustParsePrefix(block)
		node.Do(func() {
			dst := ipNet(block.Addr())
			dst.Mask = net.CIDRMask(block.Bits(), block.Addr().BitLen())
			must(t, netlink.RouteAdd(&netlink.Route{Dst: dst, Type: unix.RTN_BLACKHOLE}))
		})
	}
	d, spec := linux.New(""), specFor(pod, addr4, addr6)
	before := refusals(t, node)
	mustSetup(t, node, d, spec)
	must(t, teardown(t, node, d, targetOf(spec)))
	if diff := cmp.Diff(before, refusals(t, node)); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
}

// The rule determines the kernel's answer. Traffic that the rule does not match still uses the route, so it is kept.
func TestSetupKeepsRouteHiddenByRule(t *testing.T) {
	for _, addr := range []netip.Addr{addr4, addr6} {
		node, pod := newNode(t), newPod(t)
		addPeers(t, node)
		occupy(t, node, addr, "other0")
		node.Do(func() {
			rule := netlink.NewRule()
			rule.Dst, rule.Type, rule.Priority, rule.Family = ipNet(addr), unix.RTN_PROHIBIT, 100, netlink.FAMILY_V4
			if addr.Is6() {
				rule.Family = netlink.FAMILY_V6
			}
			must(t, netlink.RuleAdd(rule))
		})
		beforeNode, beforePod := state(t, node), state(t, pod)
		_, err := setup(t.Context(), node, linux.New(""), specFor(pod, addr))
		var got *dataplane.RouteConflictError
		if !errors.As(err, &got) || got.HostIfName != "" {
			t.Errorf("%s: error is %v, want a RouteConflictError without interface and owner", addr, err)
		}
		wantSame(t, "host", beforeNode, node)
		wantSame(t, "pod", beforePod, pod)
	}
}
