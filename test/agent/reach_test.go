// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"calico-cni/test/fleet"
)

// modes are the encapsulations of the pools of a test.
type modes struct{ vxlan string }

// makePools creates the pools of both families, and deletes them at the end of the test.
func makePools(t *testing.T, m modes) {
	t.Helper()
	for _, pool := range []struct {
		name, cidr string
		blockSize  int
	}{{"pods4", "10.244.0.0/16", 26}, {"pods6", "fd00:10:244::/64", 122}} {
		err := f.Datastore.CreatePool(t.Context(), pool.name, pool.cidr, pool.blockSize, func(spec map[string]any) {
			spec["vxlanMode"], spec["natOutgoing"] = m.vxlan, true
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := f.Datastore.Delete(context.Background(), "ippools", pool.name); err != nil {
				t.Error(err)
			}
		})
	}
}

// setVXLAN changes the mode of both pools.
func setVXLAN(t *testing.T, mode string) {
	t.Helper()
	for _, pool := range []string{"pods4", "pods6"} {
		_, err := f.Datastore.Resource("ippools").Patch(t.Context(), pool, types.MergePatchType,
			fmt.Appendf(nil, `{"spec":{"vxlanMode":%q}}`, mode), metav1.PatchOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// addPods adds a pod per node and removes them at the end of the test.
func addPods(t *testing.T, prefix string) (pods []*fleet.Pod) {
	t.Helper()
	for i := range f.Nodes {
		p, err := f.AddPod(t.Context(), i, fmt.Sprintf("%s-%d", prefix, i+1))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := p.Remove(context.Background()); err != nil {
				t.Error(err)
			}
		})
		pods = append(pods, p)
	}
	return pods
}

// wantAllReachable pings from each pod to each other pod in both families.
func wantAllReachable(t *testing.T, pods []*fleet.Pod) {
	t.Helper()
	for _, from := range pods {
		for _, to := range pods {
			for _, addr := range []netip.Addr{to.Addr4, to.Addr6} {
				if from != to {
					eventually(t, func() error { return from.Ping(t.Context(), addr) })
				}
			}
		}
	}
}

// TestPodsReachEachOther changes the encapsulation of the pools. The pods reach each other each time.
func TestPodsReachEachOther(t *testing.T) {
	makePools(t, modes{vxlan: "Always"})
	pods := addPods(t, "reach")
	wantAllReachable(t, pods)
	block := netip.PrefixFrom(pods[1].Addr4, 26).Masked().String()
	for _, c := range []struct{ mode, want string }{
		{"Always", "dev vxlan.calico"},
		{"CrossSubnet", "via " + f.Addr(1, false).String() + " dev eth0"},
		{"Always", "dev vxlan.calico"},
	} {
		setVXLAN(t, c.mode)
		eventually(t, func() error {
			out := must(t, f.Nodes[0], "ip", "route", "show", block)
			if !strings.Contains(out, c.want) {
				return fmt.Errorf("mode %s: the route to %s is %q, want %q", c.mode, block, out, c.want)
			}
			return nil
		})
		wantAllReachable(t, pods)
	}
}

// TestPodsReachOtherNetworks pings the router, which has no route to the pods: it answers to the address of the node.
func TestPodsReachOtherNetworks(t *testing.T) {
	makePools(t, modes{vxlan: "CrossSubnet"})
	pods := addPods(t, "outgoing")
	for _, p := range pods {
		for _, addr := range []string{"192.0.2.1", "198.51.100.1", "2001:db8:a::1", "2001:db8:b::1"} {
			eventually(t, func() error { return p.Ping(t.Context(), netip.MustParseAddr(addr)) })
		}
	}
}
