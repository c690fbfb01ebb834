// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"net/netip"
	"strings"
	"testing"

	"calico-cni/pkg/agent/kernel/fake"
	"calico-cni/pkg/agent/kernel/link"
	"calico-cni/pkg/netstate"
)

// ipipState is a state with one node behind the IPIP device.
var ipipState = netstate.State{
	Devices: []netstate.Device{{Name: link.IPIPv4, Kind: netstate.IPIP, MTU: 1480, Addr: netip.MustParseAddr("10.1.0.0")}},
	Routes: []netstate.Route{{
		Dest: netip.MustParsePrefix("10.1.1.0/26"), Type: netstate.Unicast, Dev: link.IPIPv4, OnLink: true, MTU: 1480,
		Via: netip.MustParseAddr("198.18.0.20"), Protocol: netstate.ProtocolCalico,
	}},
}

func TestIPIPDevice(t *testing.T) {
	onBoth(t, func(t *testing.T, newWorld func(*testing.T) *world) {
		w := newWorld(t)
		if !w.hasIPIP {
			t.Skip("this kernel lacks the module ipip")
		}
		a := w.start(&meter{})
		a.converge(t, w, ipipState)
		// The device stays, without addresses.
		a.converge(t, w, netstate.State{})
		a.converge(t, w, ipipState)
	})
}

func TestMissingModuleIsNamedAndDoesNotHoldOthers(t *testing.T) {
	w := newReal(t)
	if w.hasIPIP {
		k := fake.New()
		k.Modules = nil
		w = newFake(t)
		w.links = k.Links()
	}
	s := ipipState
	s.Routes = append([]netstate.Route{{
		Dest: netip.MustParsePrefix("10.1.0.0/26"), Type: netstate.Blackhole, Protocol: netstate.ProtocolCalico,
	}}, s.Routes...)
	report := w.start(&meter{}).apply(s)
	if len(report.Faults) != 1 || len(report.Waiting) != 1 || report.Writes != 1 {
		t.Fatalf("report %+v, want a fault of the device, a route that waits, and a blackhole", report)
	}
	if text := report.Faults[0].Error(); !w.hasIPIP && !strings.Contains(text, "modprobe ipip") {
		t.Errorf("fault %q does not name the module", text)
	}
}
