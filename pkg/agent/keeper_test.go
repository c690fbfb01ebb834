// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"calico-cni/pkg/agent/cluster"
	"calico-cni/pkg/agent/startup"
	"calico-cni/pkg/model"
)

// recordedTunnels records the pools of each review.
type recordedTunnels struct{ reviews []string }

// Ensure implements TunnelAddresses.
func (r *recordedTunnels) Ensure(
	_ context.Context, pools []model.Pool, _ map[string]string,
) (map[string]string, error) {
	names := []string{}
	for _, p := range pools {
		names = append(names, p.Name)
	}
	r.reviews = append(r.reviews, fmt.Sprint(names))
	return map[string]string{}, nil
}

// TestTunnelAddressesAreNotReviewedWithoutSnapshot starts a keeper before the first computation. A review without pools
// would release the tunnel addresses that the node uses.
func TestTunnelAddressesAreNotReviewedWithoutSnapshot(t *testing.T) {
	in, tunnels, now := &inputs{}, &recordedTunnels{}, time.Unix(1e9, 0)
	settings, _ := startup.ParseSettings(nil)
	k := &keeper{
		tunnels: tunnels, settings: settings, last: in.last, object: &startup.Node{},
		now: func() time.Time { return now },
	}
	review := func() {
		t.Helper()
		if _, err := k.reviewTunnels(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	review()
	pool := model.Pool{Name: "a", CIDR: netip.MustParsePrefix("10.0.0.0/16")}
	in.snapshot, in.computed = cluster.Snapshot{Pools: []model.Pool{pool}}, true
	review()
	review()
	now = now.Add(reviewInterval)
	review()
	in.snapshot = cluster.Snapshot{}
	review()
	if got, want := fmt.Sprint(tunnels.reviews), "[[a] [a] []]"; got != want {
		t.Errorf("reviews with %s, want %s", got, want)
	}
}
