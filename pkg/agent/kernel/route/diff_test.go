// SPDX-License-Identifier: Apache-2.0

package route_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"calico-cni/pkg/agent/kernel/route"
	"calico-cni/pkg/netstate"
)

var owner = route.Ownership{Workloads: []string{"cali", "tap"}}

// unicast returns a route from "DEST [VIA]".
func unicast(text, dev string, protocol, metric int) netstate.Route {
	dest, via, _ := strings.Cut(text, " ")
	r := netstate.Route{Dest: netip.MustParsePrefix(dest), Type: netstate.Unicast, Dev: dev, Protocol: protocol, Metric: metric}
	if via != "" {
		r.Via, r.OnLink = netip.MustParseAddr(via), true
	}
	return r
}

func TestOwnership(t *testing.T) {
	tests := []struct {
		name       string
		found      route.Found
		owns, kept bool // By default, and with KeepExternal.
	}{
		{name: "protocol 80 on any link", found: route.Found{Route: unicast("10.1.0.0/26", "eth0", 80, 0)}, owns: true, kept: true},
		{name: "blackhole of another program", found: route.Found{Route: netstate.Route{
			Dest: netip.MustParsePrefix("10.1.0.0/26"), Type: netstate.Blackhole, Protocol: 3,
		}}},
		{name: "boot on any link", found: route.Found{Route: unicast("10.1.0.0/26", "eth0", 3, 0)}},
		{name: "BIRD on any link", found: route.Found{Route: unicast("10.1.0.0/26", "eth0", 12, 0)}},
		{name: "pod", found: route.Found{Route: unicast("10.1.0.1/32", "cali1", 3, 0)}, owns: true, kept: true},
		{name: "static route to a pod", found: route.Found{Route: unicast("10.1.0.1/32", "tap1", 4, 0)}, owns: true},
		{name: "link-local of a pod", found: route.Found{Route: unicast("fe80::/64", "cali1", 3, 256)}},
		{name: "address of a pod's link", found: route.Found{Route: unicast("10.1.0.0/24", "cali1", 2, 0)}},
		{name: "VXLAN", found: route.Found{Route: unicast("10.2.0.0/26 10.2.0.0", "vxlan.calico", 4, 0)}, owns: true, kept: true},
		{name: "address of VXLAN", found: route.Found{Route: unicast("fd00::1/128", "vxlan-v6.calico", 2, 256)}},
		{name: "BIRD through IPIP", found: route.Found{Route: unicast("10.2.0.0/26 10.0.0.2", "tunl0", 12, 0)}, owns: true, kept: true},
		{name: "static route through IPIP", found: route.Found{Route: unicast("10.2.0.0/26 10.0.0.2", "tunl0", 4, 0)}},
	}
	keep := owner
	keep.KeepExternal = true
	for _, test := range tests {
		if got := owner.Owns(test.found); got != test.owns {
			t.Errorf("%s: owns %v, want %v", test.name, got, test.owns)
		}
		if got := keep.Owns(test.found); got != test.kept {
			t.Errorf("%s: owns %v although external routes are kept, want %v", test.name, got, test.kept)
		}
	}
}

var links = map[string]route.Link{
	"eth0": {Index: 2, Up: true}, "cali1": {Index: 3, Up: true}, "cali2": {Index: 4, Up: true},
	"vxlan.calico": {Index: 5, Up: true}, "vxlan-v6.calico": {Index: 6, Up: true}, "down": {Index: 7},
}

func found(routes ...netstate.Route) (all []route.Found) {
	for _, r := range routes {
		all = append(all, route.Found{Route: r})
	}
	return all
}

func TestDiff(t *testing.T) {
	pod := unicast("10.1.0.1/32", "cali1", 3, 0)
	remote := unicast("10.2.0.0/26 10.2.0.0", "vxlan.calico", 3, 0)
	tests := []struct {
		name    string
		actual  []route.Found
		desired []netstate.Route
		want    []string
	}{
		{"nothing to do", found(pod, remote), []netstate.Route{remote, pod}, nil},
		{"missing", found(pod), []netstate.Route{pod, remote}, []string{"add route " + remote.String()}},
		{"stale", found(pod, remote), []netstate.Route{pod}, []string{"delete route " + remote.String()}},
		{
			"another link", found(pod),
			[]netstate.Route{unicast("10.1.0.1/32", "cali2", 3, 0)},
			[]string{"replace route 10.1.0.1/32 dev cali1 proto 3 with 10.1.0.1/32 dev cali2 proto 3"},
		},
		{
			"the metric of Felix: the new route comes first", found(unicast("10.1.0.1/32", "cali1", 3, 1024)),
			[]netstate.Route{pod},
			[]string{"add route 10.1.0.1/32 dev cali1 proto 3", "delete route 10.1.0.1/32 dev cali1 metric 1024 proto 3"},
		},
		{
			"a property that the agent never sets",
			[]route.Found{{Route: pod, Other: "metrics"}},
			[]netstate.Route{pod},
			[]string{"replace route 10.1.0.1/32 dev cali1 proto 3 (metrics) with 10.1.0.1/32 dev cali1 proto 3"},
		},
		{
			"host bits in the destination", found(unicast("10.2.0.0/26", "eth0", 80, 0)),
			[]netstate.Route{unicast("10.2.0.7/26", "eth0", 80, 0)},
			nil,
		},
		{
			"the default metric of IPv6", found(unicast("fd00::1/128", "cali1", 3, 1024)),
			[]netstate.Route{unicast("fd00::1/128", "cali1", 3, 0)},
			nil,
		},
		{
			"type of service: another route",
			[]route.Found{{Route: pod, TOS: 8}},
			[]netstate.Route{pod},
			[]string{"add route 10.1.0.1/32 dev cali1 proto 3", "delete route 10.1.0.1/32 dev cali1 proto 3 tos 0x8"},
		},
		{
			"an IPv6 next hop with a route through another link",
			found(unicast("fd00:2::/122 2001:db8::2", "eth0", 80, 1024)),
			[]netstate.Route{unicast("fd00:2::/122 fd00:2::", "vxlan-v6.calico", 3, 0)},
			[]string{
				"add route fd00:2::/128 dev vxlan-v6.calico metric 1024 proto 80",
				"replace route fd00:2::/122 via 2001:db8::2 dev eth0 onlink metric 1024 proto 80 with " +
					"fd00:2::/122 via fd00:2:: dev vxlan-v6.calico onlink metric 1024 proto 3",
				"delete route fd00:2::/128 dev vxlan-v6.calico metric 1024 proto 80",
			},
		},
	}
	for _, test := range tests {
		plan := route.Diff(route.Actual{Links: links, Routes: test.actual}, test.desired, owner, nil)
		var got []string
		for _, c := range plan.Changes {
			got = append(got, c.String())
		}
		if !slices.Equal(got, test.want) || plan.Faults != nil || plan.Waiting != nil {
			t.Errorf("%s: changes %q, faults %v, waiting %v; want %q", test.name, got, plan.Faults, plan.Waiting, test.want)
		}
	}
}

func TestDiffNamesWhatWaits(t *testing.T) {
	desired := []netstate.Route{unicast("10.1.0.1/32", "down", 3, 0), unicast("10.1.0.2/32", "cali9", 3, 0)}
	plan := route.Diff(route.Actual{Links: links}, desired, owner, nil)
	want := []string{
		"route 10.1.0.1/32 dev down proto 3: link down is down", "route 10.1.0.2/32 dev cali9 proto 3: link cali9 does not exist",
	}
	if !slices.Equal(plan.Waiting, want) || plan.Changes != nil {
		t.Errorf("waiting %q, changes %v; want %q", plan.Waiting, plan.Changes, want)
	}
}
