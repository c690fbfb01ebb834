// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"calico-cni/pkg/agent/kernel/link"
	"calico-cni/pkg/agent/kernel/route"
	"calico-cni/pkg/netstate"
)

// rounds returns how many random cases a test tries: the real kernel is slow.
func rounds(t *testing.T) int {
	if strings.Contains(t.Name(), "/kernel") {
		return 6
	}
	return 150
}

// foreignRoutes are routes of other programs, some with destinations of ours.
var foreignRoutes = []netstate.Route{
	{Dest: netip.MustParsePrefix("0.0.0.0/0"), Type: netstate.Unicast, Dev: parent, Via: netip.MustParseAddr("198.18.0.1"), Protocol: 3},
	{Dest: netip.MustParsePrefix("::/0"), Type: netstate.Unicast, Dev: parent, Via: netip.MustParseAddr("2001:db8::1"), Metric: 1024, Protocol: 4},
	{Dest: netip.MustParsePrefix("10.1.1.0/26"), Type: netstate.Unicast, Dev: parent, Metric: 50, Protocol: 4},
	{Dest: netip.MustParsePrefix("10.1.2.0/26"), Type: netstate.Blackhole, Metric: 77, Protocol: 3},
	{Dest: netip.MustParsePrefix("fd00:1::1:0/122"), Type: netstate.Unicast, Dev: parent, Metric: 50, Protocol: 12},
}

func addForeign(t *testing.T, w *world) {
	t.Helper()
	for _, r := range foreignRoutes {
		must(t, w.routes.Write(route.Change{Verb: route.Add, Route: r}))
	}
}

func TestDriversConvergeFromAnyState(t *testing.T) {
	onBoth(t, func(t *testing.T, newWorld func(*testing.T) *world) {
		for seed := range rounds(t) {
			if !t.Run(fmt.Sprint(seed), func(t *testing.T) {
				r, w := rand.New(rand.NewPCG(uint64(seed), 1)), newWorld(t)
				addForeign(t, w)
				before, a := w.foreign(t), w.start(&meter{})
				for range 4 {
					a.converge(t, w, randomState(r, w.hasIPIP))
					for range r.IntN(4) {
						drift(r, w)
					}
				}
				a.converge(t, w, randomState(r, w.hasIPIP))
				if after := w.foreign(t); !slices.Equal(hostRoutes(before), hostRoutes(after)) {
					t.Errorf("routes of other programs were\n%s\nand are\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
				}
			}) {
				return
			}
		}
	})
}

// hostRoutes returns the lines without the routes that follow from addresses of tunnel devices and pods.
func hostRoutes(lines []string) (kept []string) {
	for _, line := range lines {
		if strings.Contains(line, "dev "+parent) || !strings.Contains(line, "proto 2") {
			kept = append(kept, line)
		}
	}
	return kept
}

func TestDriversConvergeAfterEachCallFailsOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, newWorld func(*testing.T) *world) {
		for seed := range max(rounds(t)/50, 1) {
			for failing := 1; ; failing++ {
				r, w := rand.New(rand.NewPCG(uint64(seed), 2)), newWorld(t)
				first, second := randomState(r, w.hasIPIP), randomState(r, w.hasIPIP)
				w.start(&meter{}).converge(t, w, first)
				m := &meter{failAt: failing}
				a := w.start(m)
				report := a.apply(second)
				if m.calls < failing {
					break
				}
				if len(report.Faults) == 0 && report.Err == nil {
					t.Fatalf("call %d failed, and nobody reports it", failing)
				}
				a.converge(t, w, second)
			}
		}
	})
}

func TestDriversConvergeAfterKillAtEachWrite(t *testing.T) {
	onBoth(t, func(t *testing.T, newWorld func(*testing.T) *world) {
		for seed := range max(rounds(t)/50, 1) {
			for killed := 1; ; killed++ {
				r, w := rand.New(rand.NewPCG(uint64(seed), 3)), newWorld(t)
				first, second := randomState(r, w.hasIPIP), randomState(r, w.hasIPIP)
				w.start(&meter{}).converge(t, w, first)
				m := &meter{stopAfter: killed}
				w.start(m).apply(second)
				w.start(&meter{}).converge(t, w, second)
				if m.writes < killed {
					break
				}
			}
		}
	})
}

func TestRestartWithNothingChangedMakesNoWrite(t *testing.T) {
	onBoth(t, func(t *testing.T, newWorld func(*testing.T) *world) {
		for seed := range rounds(t) {
			r, w := rand.New(rand.NewPCG(uint64(seed), 4)), newWorld(t)
			s := randomState(r, w.hasIPIP)
			w.start(&meter{}).converge(t, w, s)
			m := &meter{}
			if report := w.start(m).apply(s); m.writes != 0 || report.Err != nil || report.Faults != nil || report.Waiting != nil {
				t.Fatalf("seed %d: %d writes after a restart; report %+v", seed, m.writes, report)
			}
		}
	})
}

func TestForeignRouteInTheWayIsReportedAndKept(t *testing.T) {
	onBoth(t, func(t *testing.T, newWorld func(*testing.T) *world) {
		w := newWorld(t)
		for _, prefix := range []string{"10.1.1.0/26", "fd00:1::1:0/122"} {
			must(t, w.routes.Write(route.Change{Verb: route.Add, Route: netstate.Route{
				Dest: netip.MustParsePrefix(prefix), Type: netstate.Unicast, Dev: "cali1", Protocol: 4,
			}}))
		}
		// Not owned: external routes on workload interfaces are kept.
		a := w.start(&meter{})
		a.routes.Owner.KeepExternal = true
		s := netstate.State{Routes: []netstate.Route{
			{Dest: netip.MustParsePrefix("10.1.1.0/26"), Type: netstate.Blackhole, Protocol: 80},
			{Dest: netip.MustParsePrefix("fd00:1::1:0/122"), Type: netstate.Blackhole, Protocol: 80},
			{Dest: netip.MustParsePrefix("10.1.2.0/26"), Type: netstate.Blackhole, Protocol: 80},
		}}
		report := a.apply(s)
		if len(report.Faults) != 2 || report.Writes != 1 {
			t.Fatalf("report %+v, want two faults and one write", report)
		}
		text := errors.Join(report.Faults...).Error()
		for _, want := range []string{"10.1.1.0/26 dev cali1 proto 4", "fd00:1::1:0/122 dev cali1 metric 1024 proto 4"} {
			if !strings.Contains(text, want) {
				t.Errorf("faults %q do not name the route %q", text, want)
			}
			if !slices.Contains(w.foreign(t), want) && !slices.Contains(w.owned(t), want) {
				t.Errorf("the route %q is gone", want)
			}
		}
	})
}

func TestForeignDeviceIsReportedAndKept(t *testing.T) {
	onBoth(t, func(t *testing.T, newWorld func(*testing.T) *world) {
		w := newWorld(t)
		w.addLink(link.VXLANv4)
		s := netstate.State{Devices: []netstate.Device{randomDevice(rand.New(rand.NewPCG(1, 1)), false, false)}}
		for range 2 {
			report := w.start(&meter{}).apply(s)
			if len(report.Faults) != 1 || report.Writes != 0 || !strings.Contains(report.Faults[0].Error(), "of kind") {
				t.Fatalf("report %+v, want one fault that names the kind, and no write", report)
			}
		}
	})
}

func TestRoutesWaitForTheirLink(t *testing.T) {
	onBoth(t, func(t *testing.T, newWorld func(*testing.T) *world) {
		w := newWorld(t)
		local := func(addr, dev string) netstate.Route {
			return netstate.Route{Dest: netip.MustParsePrefix(addr), Type: netstate.Unicast, Dev: dev, Protocol: 3}
		}
		s := netstate.State{Routes: []netstate.Route{local("10.1.0.1/32", "cali1"), local("10.1.0.2/32", "cali9")}}
		a := w.start(&meter{})
		w.setDown("cali1")
		report := a.apply(s)
		if len(report.Waiting) != 2 || report.Writes != 0 || report.Faults != nil {
			t.Fatalf("report %+v, want two routes that wait", report)
		}
		w.addLink("cali9")
		w.setUp("cali9")
		w.setUp("cali1")
		a.converge(t, w, s)
	})
}

func TestUnknownRoutesOnNewInterfacesAreKeptForAWhile(t *testing.T) {
	onBoth(t, func(t *testing.T, newWorld func(*testing.T) *world) {
		w := newWorld(t)
		a := w.start(&meter{})
		a.apply(netstate.State{})
		w.addLink("cali9")
		w.setUp("cali9")
		plugin := netstate.Route{
			Dest: netip.MustParsePrefix("10.1.0.9/32"), Type: netstate.Unicast, Dev: "cali9", Protocol: 3,
		}
		must(t, w.routes.Write(route.Change{Verb: route.Add, Route: plugin}))
		if report := a.apply(netstate.State{}); report.Writes != 0 || len(report.Waiting) != 1 {
			t.Errorf("report %+v, want a deletion that waits", report)
		}
		if report := a.apply(netstate.State{}); report.Writes != 1 {
			t.Errorf("report %+v, want the deletion of the route", report)
		}
	})
}
