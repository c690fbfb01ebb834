// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"calico-cni/test/node"
)

var install sync.Once

// installed checks that the plugins and the two default pools are installed.
func installed(t *testing.T) {
	t.Helper()
	install.Do(func() {
		if log, err := n.Install(t.Context(), "CNI_ASSIGN_IPV6=true"); err != nil {
			t.Fatal(err, log)
		}
		must(t, n.Datastore.CreatePool(t.Context(), "default-ipv4-ippool", "10.244.0.0/16", 26))
		must(t, n.Datastore.CreatePool(t.Context(), "default-ipv6-ippool", "fd00:10:244::/64", 122))
	})
	if _, err := os.Stat(filepath.Join(n.BinDir(), "calico")); err != nil {
		t.Fatal("the plugins are not installed:", err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func withoutCancel(ctx context.Context) context.Context { return context.WithoutCancel(ctx) }

// newPodWithoutNetwork creates a pod that the test must remove.
func newPodWithoutNetwork(t *testing.T, name string, options ...func(*corev1.Pod)) *node.Pod {
	t.Helper()
	installed(t)
	p, err := n.CreatePod(t.Context(), name, options...)
	must(t, err)
	return p
}

// newPod creates a pod that is removed with its test, after its network.
func newPod(t *testing.T, name string, options ...func(*corev1.Pod)) *node.Pod {
	t.Helper()
	p := newPodWithoutNetwork(t, name, options...)
	t.Cleanup(func() {
		ctx := withoutCancel(t.Context())
		if a := del(t, p, nil); a.Exit != 0 {
			t.Errorf("DEL at the end: %+v", a)
		}
		dropQueued(t, p.ContainerID)
		must(t, n.RemovePod(ctx, p))
	})
	return p
}

// call calls calico for a pod with changes to its configuration.
func call(t *testing.T, command string, p *node.Pod, changes map[string]any, env ...string) node.Answer {
	t.Helper()
	return ask(t, "calico", command, p, changes, env...)
}

func del(t *testing.T, p *node.Pod, changes map[string]any) node.Answer {
	t.Helper()
	return call(t, "DEL", p, changes)
}

// add calls ADD and expects success.
func add(t *testing.T, p *node.Pod, changes map[string]any, env ...string) *current.Result {
	t.Helper()
	a := call(t, "ADD", p, changes, env...)
	if a.Exit != 0 {
		t.Fatalf("ADD failed: %s\n%s", a.Stdout, a.Stderr)
	}
	result := &current.Result{}
	if err := json.Unmarshal([]byte(a.Stdout), result); err != nil {
		t.Fatalf("result %q: %v", a.Stdout, err)
	}
	return result
}

// addrs returns the addresses of a result.
func addrs(t testing.TB, r *current.Result) []netip.Addr {
	t.Helper()
	var out []netip.Addr
	for _, ip := range r.IPs {
		addr, ok := netip.AddrFromSlice(ip.Address.IP)
		if !ok {
			t.Fatalf("address %v", ip.Address)
		}
		out = append(out, addr.Unmap())
	}
	return out
}

// state returns what the plugins may leave behind on the node and in the cluster, as text: links, routes to pods,
// handles, allocations in blocks, and annotations of pods. Blocks and affinities of the node are not part of it.
func state(t testing.TB) string {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	var out []string
	links, err := netlink.LinkList()
	must(t, err)
	for _, l := range links {
		out = append(out, "link "+l.Attrs().Name)
	}
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		routes, err := netlink.RouteList(nil, family)
		must(t, err)
		for _, r := range routes {
			if r.Dst != nil && r.Gw == nil {
				out = append(out, "route "+r.Dst.String())
			}
		}
	}
	pods, err := n.Server.Client().CoreV1().Pods("").List(ctx, metav1.ListOptions{})
	must(t, err)
	for _, p := range pods.Items {
		for key, value := range p.Annotations {
			out = append(out, "pod "+p.Name+" says "+key+"="+value)
		}
	}
	handles, err := n.Datastore.List(ctx, "ipamhandles")
	must(t, err)
	for name := range handles {
		out = append(out, "handle "+name)
	}
	blocks, err := n.Datastore.List(ctx, "ipamblocks")
	must(t, err)
	for name, spec := range blocks {
		for _, a := range spec["attributes"].([]any) {
			data, err := json.Marshal(a)
			must(t, err)
			out = append(out, "block "+name+" holds "+string(data))
		}
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// unchanged runs f and expects the same state before and after.
func unchanged(t *testing.T, what string, f func()) {
	t.Helper()
	unchangedBut(t, what, func(state string) string { return state }, f)
}

// unchangedBut does the same for the part of the state that look returns.
func unchangedBut(t *testing.T, what string, look func(string) string, f func()) {
	t.Helper()
	before := look(state(t))
	f()
	if diff := cmp.Diff(before, look(state(t))); diff != "" {
		t.Errorf("%s left something behind (-before +after):\n%s", what, diff)
	}
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	must(t, err)
	return data
}
