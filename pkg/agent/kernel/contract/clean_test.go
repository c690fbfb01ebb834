// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"

	"calico-cni/pkg/agent/kernel/clean"
	"calico-cni/pkg/agent/kernel/fake"
	"calico-cni/pkg/agent/kernel/link"
	"calico-cni/pkg/netstate"
)

func TestCleanLeavesPodsAndOtherPrograms(t *testing.T) {
	onBoth(t, func(t *testing.T, newWorld func(*testing.T) *world) {
		r, w := rand.New(rand.NewPCG(1, 9)), newWorld(t)
		addForeign(t, w)
		s := randomState(r, w.hasIPIP)
		w.start(&meter{}).converge(t, w, s)
		for range 2 {
			k := clean.Kernels{Links: w.links, Routes: w.routes, Table: fake.NewRuleset()}
			for _, report := range clean.Run(context.Background(), k) {
				if report.Err != nil || report.Faults != nil {
					t.Fatalf("report %+v", report)
				}
			}
		}
		pods := netstate.State{}
		for _, route := range s.Routes {
			if route.Protocol == netstate.ProtocolBoot && slices.Contains([]string{"cali1", "cali2", "cali3"}, route.Dev) {
				pods.Routes = append(pods.Routes, route)
			}
		}
		if len(pods.Routes) == 0 {
			t.Fatal("the state has no pods")
		}
		w.check(t, pods)
		devices, err := w.links.Read(link.Names())
		must(t, err)
		for name, f := range devices {
			if name != link.IPIPv4 || len(f.Addrs) > 0 {
				t.Errorf("%s is left with %v", name, f.Addrs)
			}
		}
		for _, foreign := range foreignRoutes {
			if foreign.Dest.Addr().Is6() && foreign.Metric == 0 {
				foreign.Metric = 1024
			}
			if !slices.Contains(w.foreign(t), foreign.String()) {
				t.Errorf("the route %s is gone", foreign)
			}
		}
	})
}
