// SPDX-License-Identifier: Apache-2.0

package nodeipam

import (
	"net/netip"
	"testing"
	"time"

	"calico-cni/internal/nodestate"
)

// TestReleaseEndsShortageUnlessAddressesAreCooling releases an address during a verified shortage and during an outage.
func TestReleaseEndsShortageUnlessAddressesAreCooling(t *testing.T) {
	one := []netip.Addr{netip.MustParseAddr("10.0.0.1")}
	for name, c := range map[string]struct {
		kind      nodestate.ConditionKind
		freed     Freed
		kept      bool
		confirmed time.Duration
	}{
		"shortage, address":         {nodestate.ConditionAddresses, Freed{Addrs: one}, false, 0},
		"shortage, cooling address": {nodestate.ConditionAddresses, Freed{Addrs: one, Cooling: true}, true, 0},
		"shortage, nothing":         {nodestate.ConditionAddresses, Freed{Cooling: true}, true, time.Minute},
		"outage, cooling address":   {nodestate.ConditionAPI, Freed{Addrs: one, Cooling: true}, false, 0},
		"outage, nothing":           {nodestate.ConditionAPI, Freed{}, false, 0},
	} {
		n := newCluster(t).node(t)
		before := nodestate.Condition{Kind: c.kind, Reason: "why", Confirmed: time.Minute}
		if err := n.Disk.conditions().Store("net", before); err != nil {
			t.Fatal(err)
		}
		n.Health().NoteRelease(c.freed)
		after, kept := n.Disk.conditions().Load("net")
		if kept != c.kept || after.Confirmed != c.confirmed || kept && after.Reason != "why" {
			t.Errorf("%s: kept %t, %+v", name, kept, after)
		}
	}
}

// TestReleaseReportsCooling releases addresses with and without a cooldown: by DEL, by DEL of an interface that the
// address does not name, and by GC.
func TestReleaseReportsCooling(t *testing.T) {
	for _, cooldown := range []time.Duration{0, time.Minute} {
		c := newCluster(t)
		c.store.Settings.Cooldown = cooldown
		c.add("n1", "eth0")
		if freed := c.del("eth0", Evidence{}); len(freed.Addrs) != 1 || freed.Cooling != (cooldown > 0) {
			t.Errorf("DEL with cooldown %s: %+v", cooldown, freed)
		}
		freed := c.del("net1", Evidence{Addrs: []netip.Addr{c.addAsCalico("n1", "net1")}})
		if len(freed.Addrs) != 1 || freed.Cooling != (cooldown > 0) {
			t.Errorf("DEL of another interface with cooldown %s: %+v", cooldown, freed)
		}
		c.add("n1", "eth0")
		freed, err := c.Collect(t.Context(), "n1", Spared{network: "net"})
		if err != nil || len(freed.Addrs) != 1 || freed.Cooling != (cooldown > 0) {
			t.Errorf("GC with cooldown %s: %+v, %v", cooldown, freed, err)
		}
	}
}
