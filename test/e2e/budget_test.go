package e2e

import (
	"testing"

	"calico-cni/test/proxy"
)

// TestASteadyAddAndDelCostWhatTheyMay counts what an ADD and a DEL ask of the API server when the node has a block with
// room: requests, how many times one waits for another, connections. Each number is paid for every pod.
func TestASteadyAddAndDelCostWhatTheyMay(t *testing.T) {
	warm := newPod(t, "budget-warm")
	add(t, warm, nil)
	through := proxy.Start(t, n.Kubeconfig())
	changes := map[string]any{"kubernetes.kubeconfig": through.Kubeconfig(t, n.Kubeconfig()), "ipam.assign_ipv6": "false"}
	p := newPod(t, "budget")

	add(t, p, changes)
	expectCost(t, "ADD", through, 9, 4)
	if a := del(t, p, changes); a.Exit != 0 {
		t.Fatalf("DEL: %+v", a)
	}
	expectCost(t, "DEL", through, 6, 3)
}

func expectCost(t *testing.T, what string, through *proxy.Proxy, most, rounds int) {
	t.Helper()
	requests, connections := through.Take()
	last := 0
	for _, r := range requests {
		last = max(last, r.Round)
	}
	if len(requests) > most || last > rounds || connections != 1 {
		t.Errorf("%s took %d requests in %d rounds on %d connections, want at most %d in %d on 1:\n%s",
			what, len(requests), last, connections, most, rounds, proxy.Lines(requests))
	}
	if len(requests) < 5 {
		t.Errorf("%s took only %d requests: the proxy is not looking", what, len(requests))
	}
}
