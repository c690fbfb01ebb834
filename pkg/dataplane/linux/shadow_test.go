// SPDX-License-Identifier: Apache-2.0

package linux_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"calico-cni/pkg/dataplane"
	"calico-cni/pkg/dataplane/linux"
)

// otherTable is a routing table that no program uses.
const otherTable = 4711

// shadow is a state in which the host routes an address elsewhere although the pod's route can be added.
type shadow struct {
	name string
	make func(t *testing.T, addr netip.Addr)
	want dataplane.Cause
	// route4 and route6 are the conflicting routes in the error; ADDR stands for the address and its prefix length.
	// Empty if the family has no such conflict.
	route4, route6 string
	device         string
}

// The functions of shadows run in the node's namespace, which has the interface other0.
var shadows = []shadow{
	{
		"an address of the host", func(t *testing.T, addr netip.Addr) {
			must(t, netlink.AddrAdd(linkNamed(t, "other0"), &netlink.Addr{IPNet: ipNet(addr), Flags: nodad(addr)}))
		}, dataplane.OwnAddress,
		"local ADDR dev other0 table local proto 2", "local ADDR dev other0 table local proto 2", "other0",
	},
	{
		"a local route of a guest agent", func(t *testing.T, addr netip.Addr) {
			route(t, netlink.Route{
				Dst: ipNet(addr), Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL, Scope: netlink.SCOPE_HOST,
				Protocol: 66,
			}, "other0")
		}, dataplane.OwnAddress,
		"local ADDR dev other0 table local proto 66", "local ADDR dev other0 table local proto 66 metric 1024",
		"other0",
	},
	{
		"a routing rule to a table with a wide route", func(t *testing.T, addr netip.Addr) {
			route(t, netlink.Route{Dst: wide(addr), Table: otherTable, Scope: netlink.SCOPE_LINK}, "other0")
			must(t, netlink.RuleAdd(ruleTo(addr, otherTable, 0)))
		}, dataplane.RoutingRule,
		"10.65.0.0/16 dev other0 table 4711 proto 3", "fd00:65::/32 dev other0 table 4711 proto 3 metric 1024",
		"other0",
	},
	{
		"a routing rule to a table with a route to the address", func(t *testing.T, addr netip.Addr) {
			route(t, netlink.Route{Dst: ipNet(addr), Table: otherTable, Scope: netlink.SCOPE_LINK}, "other0")
			must(t, netlink.RuleAdd(ruleTo(addr, otherTable, 0)))
		}, dataplane.OtherInterface,
		"ADDR dev other0 table 4711 proto 3", "ADDR dev other0 table 4711 proto 3 metric 1024", "other0",
	},
	{
		"a routing rule to a table with a blackhole", func(t *testing.T, addr netip.Addr) {
			must(t, netlink.RouteAdd(&netlink.Route{Dst: ipNet(addr), Table: otherTable, Type: unix.RTN_BLACKHOLE}))
			must(t, netlink.RuleAdd(ruleTo(addr, otherTable, 0)))
		}, dataplane.Refusal,
		"refused: invalid argument", "refused: invalid argument", "",
	},
	{
		"a routing rule that prohibits", func(t *testing.T, addr netip.Addr) {
			must(t, netlink.RuleAdd(ruleTo(addr, 0, unix.RTN_PROHIBIT)))
		}, dataplane.Refusal,
		"refused: permission denied", "refused: permission denied", "",
	},
	{
		"a routing rule of type unreachable", func(t *testing.T, addr netip.Addr) {
			must(t, netlink.RuleAdd(ruleTo(addr, 0, unix.RTN_UNREACHABLE)))
		}, dataplane.NoRoute,
		"none", "none", "",
	},
	{
		"a broadcast address", func(t *testing.T, addr netip.Addr) {
			route(t, netlink.Route{
				Dst: ipNet(addr), Type: unix.RTN_BROADCAST, Table: unix.RT_TABLE_LOCAL, Scope: netlink.SCOPE_LINK,
			}, "other0")
		}, dataplane.OwnAddress,
		"broadcast ADDR dev other0 table local proto 3", "", "other0",
	},
	{
		"a subnet router's anycast address", func(t *testing.T, addr netip.Addr) {
			route(t, netlink.Route{Dst: ipNet(addr), Type: unix.RTN_ANYCAST, Table: unix.RT_TABLE_LOCAL}, "other0")
		}, dataplane.OwnAddress,
		"", "anycast ADDR dev other0 table local proto 3 metric 1024", "other0",
	},
	{
		"a route with a lower metric", func(t *testing.T, addr netip.Addr) {
			route(t, netlink.Route{Dst: ipNet(addr), Priority: 7}, "other0")
		}, dataplane.OtherInterface,
		"", "ADDR dev other0 table main proto 3 metric 7", "other0",
	},
	{
		"a blackhole with a lower metric", func(t *testing.T, addr netip.Addr) {
			must(t, netlink.RouteAdd(&netlink.Route{Dst: ipNet(addr), Type: unix.RTN_BLACKHOLE, Priority: 7}))
		}, dataplane.Refusal,
		"", "refused: invalid argument", "",
	},
}

// route adds a route through the device.
func route(t *testing.T, r netlink.Route, device string) {
	t.Helper()
	r.LinkIndex = linkNamed(t, device).Attrs().Index
	must(t, netlink.RouteAdd(&r))
}

func linkNamed(t *testing.T, name string) netlink.Link {
	t.Helper()
	link, err := netlink.LinkByName(name)
	must(t, err)
	return link
}

// wide returns a prefix that contains the address and others.
func wide(addr netip.Addr) *net.IPNet {
	bits := 16
	if addr.Is6() {
		bits = 32
	}
	prefix := netip.PrefixFrom(addr, bits).Masked()
	return &net.IPNet{IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(bits, addr.BitLen())}
}

// ruleTo returns a routing rule for packets to the address, with a table or a type.
func ruleTo(addr netip.Addr, table int, kind uint8) *netlink.Rule {
	rule := netlink.NewRule()
	rule.Dst, rule.Priority, rule.Family, rule.Type = ipNet(addr), 100, netlink.FAMILY_V4, kind
	if table != 0 {
		rule.Table = table
	}
	if addr.Is6() {
		rule.Family = netlink.FAMILY_V6
	}
	return rule
}

func TestSetupFailsIfHostRoutesAddressElsewhere(t *testing.T) {
	for _, c := range shadows {
		for _, addr := range []netip.Addr{addr4, addr6} {
			wanted := c.route4
			if addr.Is6() {
				wanted = c.route6
			}
			if wanted == "" {
				continue // The family has no such conflict.
			}
			t.Run(c.name+" for "+addr.String(), func(t *testing.T) {
				node, pod := newNode(t), newPod(t)
				addPeers(t, node)
				node.Do(func() { c.make(t, addr) })
				beforeNode, beforePod := state(t, node), state(t, pod)
				_, err := setup(t.Context(), node, linux.New(""), specFor(pod, addr4, addr6))
				var got *dataplane.RouteConflictError
				if !errors.As(err, &got) {
					t.Fatalf("error is %v, want a RouteConflictError", err)
				}
				wanted = strings.ReplaceAll(wanted, "ADDR", ipNet(addr).String())
				want := fmt.Sprintf("%s %d %s %s", addr, c.want, wanted, c.device)
				is := fmt.Sprintf("%s %d %s %s", got.Addr, got.Cause, got.Route, got.HostIfName)
				if diff := cmp.Diff(want, is); diff != "" {
					t.Errorf("conflict (-want +got):\n%s", diff)
				}
				wantSame(t, "host", beforeNode, node)
				wantSame(t, "pod", beforePod, pod)
			})
		}
	}
}

// Setup and Check agree on conflicts.
func TestCheckReportsPrecedenceOverHostRoute(t *testing.T) {
	for _, c := range shadows {
		for _, addr := range []netip.Addr{addr4, addr6} {
			if addr.Is4() && c.route4 == "" || addr.Is6() && c.route6 == "" {
				continue // The family has no such conflict.
			}
			t.Run(c.name+" for "+addr.String(), func(t *testing.T) {
				w := newAttachedPod(t)
				addPeers(t, w.node)
				w.node.Do(func() { c.make(t, addr) })
				err := check(t, w.node, w.pod, w.spec)
				if err == nil || !strings.Contains(err.Error(), "host route "+ipNet(addr).String()) {
					t.Errorf("error is %v, want one about the host route to %s", err, addr)
				}
			})
		}
	}
}

// harmless are states of the host that do not conflict with the route to the pod.
var harmless = []struct {
	name string
	make func(t *testing.T, addr netip.Addr)
}{
	{"a wider route", func(t *testing.T, addr netip.Addr) {
		route(t, netlink.Route{Dst: wide(addr), Scope: netlink.SCOPE_LINK}, "other0")
	}},
	{"a wider blackhole", func(t *testing.T, addr netip.Addr) {
		must(t, netlink.RouteAdd(&netlink.Route{Dst: wide(addr), Type: unix.RTN_BLACKHOLE}))
	}},
	{"a route with a higher metric", func(t *testing.T, addr netip.Addr) {
		route(t, netlink.Route{Dst: ipNet(addr), Priority: 5000}, "other0")
	}},
	{"a routing rule to a table with a throw route", func(t *testing.T, addr netip.Addr) {
		must(t, netlink.RouteAdd(&netlink.Route{Dst: ipNet(addr), Table: otherTable, Type: unix.RTN_THROW}))
		must(t, netlink.RuleAdd(ruleTo(addr, otherTable, 0)))
	}},
	// The agent learns of the pod later and then excludes its address from the WireGuard table.
	{"a block that the agent routes to WireGuard", func(t *testing.T, addr netip.Addr) {
		device := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "wireguard.cali", TxQLen: -1}}
		must(t, netlink.LinkAdd(device))
		must(t, netlink.LinkSetUp(device))
		route(t, netlink.Route{Dst: wide(addr), Table: otherTable, Scope: netlink.SCOPE_LINK}, "wireguard.cali")
		must(t, netlink.RuleAdd(ruleTo(addr, otherTable, 0)))
	}},
}

func TestSetupSucceedsBesideHarmlessRoutes(t *testing.T) {
	for _, c := range harmless {
		for _, addr := range []netip.Addr{addr4, addr6} {
			t.Run(c.name+" for "+addr.String(), func(t *testing.T) {
				node, pod := newNode(t), newPod(t)
				addPeers(t, node)
				node.Do(func() { c.make(t, addr) })
				spec := specFor(pod, addr4, addr6)
				mustSetup(t, node, linux.New(""), spec)
				must(t, check(t, node, pod, spec))
			})
		}
	}
}
