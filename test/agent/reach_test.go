// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"calico-cni/test/fleet"
)

// addPods adds a pod per node and removes them at the end of the test.
func addPods(t *testing.T, prefix string) (pods []*fleet.Pod) {
	t.Helper()
	for i := range f.Nodes {
		name := fmt.Sprintf("%s-%d", prefix, i+1)
		p, err := f.AddPod(t.Context(), i, name)
		if err != nil {
			t.Fatal(err)
		}
		pods = append(pods, p)
	}
	return pods
}

// TestPodsReachEachOther pings from each pod to each other pod, and to each node, in both families.
func TestPodsReachEachOther(t *testing.T) {
	for _, pool := range []struct {
		name, cidr string
		blockSize  int
	}{{"pods4", "10.244.0.0/16", 26}, {"pods6", "fd00:10:244::/64", 122}} {
		err := f.Datastore.CreatePool(t.Context(), pool.name, pool.cidr, pool.blockSize, func(spec map[string]any) {
			spec["vxlanMode"], spec["natOutgoing"] = "CrossSubnet", true
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	pods := addPods(t, "reach")
	for _, from := range pods {
		for _, to := range pods {
			for _, addr := range []netip.Addr{to.Addr4, to.Addr6} {
				if addr.IsValid() && from != to {
					eventually(t, func() error { return from.Ping(t.Context(), addr) })
				}
			}
		}
	}
	var errs []error
	for _, p := range pods {
		errs = append(errs, p.Remove(t.Context()))
	}
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}
