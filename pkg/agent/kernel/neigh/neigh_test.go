// SPDX-License-Identifier: Apache-2.0

package neigh_test

import (
	"net/netip"
	"slices"
	"testing"

	"calico-cni/pkg/agent/kernel/neigh"
	"calico-cni/pkg/netstate"
)

var (
	mac1, mac2 = netstate.MAC{0x66, 1}, netstate.MAC{0x66, 2}
	up         = map[string]bool{"vxlan.calico": true}
)

func neighbour(addr string, mac netstate.MAC) netstate.Neighbour {
	return netstate.Neighbour{Dev: "vxlan.calico", Addr: netip.MustParseAddr(addr), MAC: mac}
}

func entry(mac netstate.MAC, dst string) netstate.FDBEntry {
	return netstate.FDBEntry{Dev: "vxlan.calico", MAC: mac, Dst: netip.MustParseAddr(dst)}
}

func TestDiff(t *testing.T) {
	actual := neigh.Actual{
		Up:         up,
		Neighbours: []netstate.Neighbour{neighbour("10.1.0.0", mac1), neighbour("10.2.0.0", mac1), neighbour("10.3.0.0", mac1)},
		// A program has appended an entry for the first MAC address.
		FDB: []netstate.FDBEntry{entry(mac1, "198.18.0.1"), entry(mac1, "198.18.0.9"), entry(mac2, "198.18.0.2")},
	}
	plan := neigh.Diff(actual,
		[]netstate.Neighbour{neighbour("10.1.0.0", mac1), neighbour("10.2.0.0", mac2), neighbour("10.4.0.0", mac1)},
		[]netstate.FDBEntry{entry(mac1, "198.18.0.1"), entry(mac2, "198.18.0.3")})
	want := []string{
		"set FDB entry 66:02:00:00:00:00 dev vxlan.calico dst 198.18.0.3",
		"set neighbour 10.2.0.0 dev vxlan.calico lladdr 66:02:00:00:00:00",
		"set neighbour 10.4.0.0 dev vxlan.calico lladdr 66:01:00:00:00:00",
		"delete neighbour 10.3.0.0 dev vxlan.calico lladdr 66:01:00:00:00:00",
		"delete FDB entry 66:01:00:00:00:00 dev vxlan.calico dst 198.18.0.9",
	}
	var got []string
	for _, c := range plan.Changes {
		got = append(got, c.String())
	}
	if !slices.Equal(got, want) || plan.Waiting != nil {
		t.Errorf("changes %q, waiting %v; want %q", got, plan.Waiting, want)
	}
}

func TestEntriesWaitForTheirDevice(t *testing.T) {
	for name, state := range map[string]map[string]bool{"missing": {}, "down": {"vxlan.calico": false}} {
		plan := neigh.Diff(neigh.Actual{Up: state}, []netstate.Neighbour{neighbour("10.1.0.0", mac1)}, nil)
		want := []string{"1 entries of vxlan.calico: the device is down or does not exist"}
		if !slices.Equal(plan.Waiting, want) || plan.Changes != nil {
			t.Errorf("%s: waiting %q, changes %v", name, plan.Waiting, plan.Changes)
		}
	}
}
