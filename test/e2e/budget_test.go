// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"testing"

	"calico-cni/test/proxy"
)

// TestSteadyAddAndDelStayWithinRequestBudget counts the requests, rounds and connections of an ADD and a DEL on a node
// that has a block with free addresses. Every pod pays these costs.
func TestSteadyAddAndDelStayWithinRequestBudget(t *testing.T) {
	warm, p := newPod(t, "budget-warm"), newPod(t, "budget")
	through := proxy.Start(t, n.Kubeconfig())
	changes := map[string]any{
		"kubernetes.kubeconfig": through.Kubeconfig(t, n.Kubeconfig()),
		"ipam.assign_ipv6":      "false",
	}
	// This fills the block cache for this server.
	add(t, warm, changes)
	through.Take()

	add(t, p, changes)
	expectCost(t, "ADD", through, 9, 4, 9_000)
	if a := del(t, p, changes); a.Exit != 0 {
		t.Fatalf("DEL: %+v", a)
	}
	expectCost(t, "DEL", through, 6, 3, 6_000)
}

// expectCost limits the requests, rounds and bytes of all bodies, with a block of few addresses.
func expectCost(t *testing.T, what string, through *proxy.Proxy, most, rounds int, bytes int64) {
	t.Helper()
	requests, connections := through.Take()
	last, passed := 0, int64(0)
	for _, r := range requests {
		last, passed = max(last, r.Round), passed+r.Asked+r.Answered
	}
	t.Logf("%s: %d requests in %d rounds, %d bytes", what, len(requests), last, passed)
	if passed > bytes {
		t.Errorf("%s takes %d bytes, want at most %d:\n%s", what, passed, bytes, proxy.Lines(requests))
	}
	if len(requests) > most || last > rounds || connections != 1 {
		t.Errorf("%s took %d requests in %d rounds on %d connections, want at most %d in %d on 1:\n%s",
			what, len(requests), last, connections, most, rounds, proxy.Lines(requests))
	}
	if len(requests) < 5 {
		t.Errorf("%s made only %d requests: the proxy did not see them", what, len(requests))
	}
}
