// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"calico-cni/pkg/agent/kernel/route"
	"calico-cni/pkg/netstate"
)

func TestRouteOfPluginIsAdopted(t *testing.T) {
	onBoth(t, func(t *testing.T, newWorld func(*testing.T) *world) {
		w := newWorld(t)
		s := netstate.State{}
		for _, text := range []string{"10.1.0.1", "fd00:1::1"} {
			addr := netip.MustParseAddr(text)
			w.addPluginRoute(addr, "cali1")
			s.Routes = append(s.Routes, netstate.Route{
				Dest: netip.PrefixFrom(addr, addr.BitLen()), Type: netstate.Unicast, Dev: "cali1", Protocol: netstate.ProtocolBoot,
			})
		}
		if report := w.start(&meter{}).apply(s); report.Writes != 0 || report.Faults != nil {
			t.Errorf("report %+v, want no write", report)
		}
		w.check(t, s)
	})
}

// watched is a routing table that is inspected after each write.
type watched struct {
	k       route.Kernel
	inspect func(actual route.Actual, c route.Change)
}

func (w watched) Read() (route.Actual, error) { return w.k.Read() }

func (w watched) Write(c route.Change) error {
	err := w.k.Write(c)
	if actual, readErr := w.k.Read(); readErr == nil {
		w.inspect(actual, c)
	}
	return err
}

func TestChangedDestinationsHaveARouteAtAnyTime(t *testing.T) {
	onBoth(t, func(t *testing.T, newWorld func(*testing.T) *world) {
		for seed := range rounds(t) {
			w := newWorld(t)
			states := [2]netstate.State{}
			for i := range states {
				r, devices := rand.New(rand.NewPCG(uint64(seed), uint64(i))), rand.New(rand.NewPCG(uint64(seed), 9))
				states[i] = randomRoutes(r, devices, w.hasIPIP)
			}
			a := w.start(&meter{})
			a.converge(t, w, states[0])
			before := map[netip.Prefix]bool{}
			for _, r := range states[0].Routes {
				before[r.Dest] = true
			}
			a.routes.Kernel = watched{w.routes, func(actual route.Actual, c route.Change) {
				there := map[netip.Prefix]bool{}
				for _, f := range actual.Routes {
					there[f.Route.Dest] = true
				}
				for _, r := range states[1].Routes {
					if before[r.Dest] && !there[r.Dest] {
						t.Errorf("seed %d: after %q there is no route to %s", seed, c, r.Dest)
					}
				}
			}}
			a.converge(t, w, states[1])
		}
	})
}

// largeState returns a state of many nodes, whose routes, neighbours and FDB entries go through one VXLAN device.
func largeState(nodes int) (s netstate.State) {
	d := randomDevice(rand.New(rand.NewPCG(1, 1)), false, false)
	s.Devices = []netstate.Device{d}
	for i := range nodes {
		vtep := netip.AddrFrom4([4]byte{10, byte(64 + i>>10), byte(i >> 2), byte(i<<6) & 0xc0})
		mac := netstate.MAC{0x66, 0, 0, byte(i >> 16), byte(i >> 8), byte(i)}
		s.Routes = append(s.Routes, netstate.Route{
			Dest: netip.PrefixFrom(vtep, 26), Type: netstate.Unicast, Dev: d.Name, Via: vtep, OnLink: true, MTU: d.MTU, Protocol: 3,
		})
		s.Neighbours = append(s.Neighbours, netstate.Neighbour{Dev: d.Name, Addr: vtep, MAC: mac})
		s.FDB = append(s.FDB, netstate.FDBEntry{Dev: d.Name, MAC: mac, Dst: netip.AddrFrom4([4]byte{198, 19, byte(i >> 8), byte(i)})})
	}
	return s
}

func TestLargeStateConverges(t *testing.T) {
	onBoth(t, func(t *testing.T, newWorld func(*testing.T) *world) {
		w, s := newWorld(t), largeState(2000)
		w.start(&meter{}).converge(t, w, s)
	})
}

// BenchmarkRestart measures a run with nothing changed.
func BenchmarkRestart(b *testing.B) {
	for _, nodes := range []int{100, 1000, 5000} {
		b.Run(fmt.Sprintf("nodes=%d", nodes), func(b *testing.B) {
			w, s := newReal(b), largeState(nodes)
			a := w.start(&meter{})
			for range 2 {
				if r := a.apply(s); r.Err != nil || r.Faults != nil {
					b.Fatalf("report %+v", r)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				if r := a.apply(s); r.Err != nil || r.Writes != 0 {
					b.Fatalf("report %+v", r)
				}
			}
		})
		b.Run(fmt.Sprintf("route/nodes=%d", nodes), func(b *testing.B) {
			w, s := newReal(b), largeState(nodes)
			a := w.start(&meter{})
			a.apply(s)
			for b.Loop() {
				a.routes.Apply(context.Background(), a.now, s.Routes)
			}
		})
	}
}
