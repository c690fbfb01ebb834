// SPDX-License-Identifier: Apache-2.0

package linux_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"calico-cni/internal/nettest"
	"calico-cni/pkg/dataplane"
	"calico-cni/pkg/dataplane/linux"
)

func TestTeardownRestoresHost(t *testing.T) {
	for _, family := range families {
		t.Run(family.name, func(t *testing.T) {
			node, pod := newNode(t), newPod(t)
			d, spec := linux.New(""), specFor(pod, family.addrs...)
			before := state(t, node)
			mustSetup(t, node, d, spec)
			for _, nth := range []string{"first", "second"} {
				if err := teardown(t, node, d, targetOf(spec)); err != nil {
					t.Errorf("%s Teardown: %v", nth, err)
				}
				wantSame(t, "host after the "+nth, before, node)
				if now := state(t, pod); strings.Contains(now, ifName) {
					t.Errorf("pod still has its interface after the %s:\n%s", nth, now)
				}
			}
		})
	}
}

func TestTeardownWithoutPodNamespace(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "unmounted")
	must(t, os.WriteFile(plain, nil, 0o600))
	for _, path := range []string{"", plain, filepath.Join(t.TempDir(), "absent")} {
		node, pod := newNode(t), newPod(t)
		d, spec := linux.New(""), specFor(pod, addr4, addr6)
		before := state(t, node)
		mustSetup(t, node, d, spec)
		target := targetOf(spec)
		target.NetNS = path
		if err := teardown(t, node, d, target); err != nil {
			t.Errorf("%q: %v", path, err)
		}
		wantSame(t, "host", before, node)
	}
}

func TestTeardownAfterNamespaceIsGone(t *testing.T) {
	node, pod := newNode(t), newPod(t)
	d, spec := linux.New(""), specFor(pod, addr4, addr6)
	before := state(t, node)
	mustSetup(t, node, d, spec)
	pod.Close()
	if err := teardown(t, node, d, targetOf(spec)); err != nil {
		t.Error(err)
	}
	wantSame(t, "host", before, node)
}

func TestTeardownOfOldSandboxKeepsNewOne(t *testing.T) {
	node, old, pod := newNode(t), newPod(t), newPod(t)
	d := linux.New("")
	first, second := specFor(old, addr4, addr6), specFor(pod, addr4, addr6)
	second.Handle = "net.sandbox-2"
	mustSetup(t, node, d, first)
	mustSetup(t, node, d, second)
	beforeNode, beforePod := state(t, node), state(t, pod)
	if err := teardown(t, node, d, targetOf(first)); err != nil {
		t.Error(err)
	}
	wantSame(t, "host", beforeNode, node)
	wantSame(t, "pod", beforePod, pod)
}

func TestTeardownWithoutOwnerKeepsUnmarkedInterfaces(t *testing.T) {
	node := newNode(t)
	addLink(t, node, hostIfName)
	before := state(t, node)
	if err := teardown(t, node, linux.New(""), dataplane.Target{HostIfName: hostIfName}); err != nil {
		t.Error(err)
	}
	wantSame(t, "host", before, node)
}

func TestTeardownKeepsForeignInterfaces(t *testing.T) {
	node, pod := newNode(t), newPod(t)
	addLink(t, pod, ifName)
	before := state(t, pod)
	for _, name := range []string{ifName, "lo"} {
		if err := teardown(t, node, linux.New(""), dataplane.Target{
			Handle: "net.sandbox-1", NetNS: pod.Path,
			IfName: name,
		}); err != nil {
			t.Error(err)
		}
		wantSame(t, "pod", before, pod)
	}
}

// A path such as /proc/<pid>/ns/net may now lead to the host's namespace, whose eth0 may also be a veth.
func TestTeardownKeepsVethOfHost(t *testing.T) {
	node := newNode(t)
	node.Do(func() {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = ifName
		must(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "uplink"}))
	})
	if err := teardown(t, node, linux.New(""), dataplane.Target{
		Handle: "net.sandbox-1", NetNS: node.Path,
		IfName: ifName,
	}); err != nil {
		t.Error(err)
	}
	if got := state(t, node); !strings.Contains(got, "link "+ifName) {
		t.Errorf("the host's veth is gone:\n%s", got)
	}
}

func TestTeardownRemovesHostEndIfPodCannotBeOpened(t *testing.T) {
	node, pod := newNode(t), newPod(t)
	d, spec := linux.New(""), specFor(pod, addr4)
	before := state(t, node)
	mustSetup(t, node, d, spec)
	target := targetOf(spec)
	target.NetNS = strings.Repeat("n", 5000) // ENAMETOOLONG: it is unknown whether the path exists.
	if err := teardown(t, node, d, target); err == nil {
		t.Error("Teardown returned no error")
	}
	wantSame(t, "host", before, node)
}

func TestTeardownStopsWhenContextIsCancelled(t *testing.T) {
	node, pod := newNode(t), newPod(t)
	d, spec := linux.New(""), specFor(pod, addr4)
	mustSetup(t, node, d, spec)
	before := state(t, node)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var err error
	node.Do(func() { _, err = d.Teardown(ctx, targetOf(spec)) })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want context.Canceled", err)
	}
	wantSame(t, "host", before, node)
}

func BenchmarkSetupTeardown(b *testing.B) {
	for _, family := range families {
		b.Run(family.name, func(b *testing.B) {
			node, pod := newNode(b), newPod(b)
			d, spec := linux.New(""), specFor(pod, family.addrs...)
			var inSetup time.Duration
			node.Do(func() {
				for b.Loop() {
					start := time.Now()
					_, err := d.Setup(b.Context(), spec)
					inSetup += time.Since(start)
					must(b, err)
					_, err = d.Teardown(b.Context(), targetOf(spec))
					must(b, err)
				}
			})
			b.ReportMetric(float64(inSetup.Microseconds())/float64(b.N), "setup-µs/op")
		})
	}
}

func TestTeardownKeepsInterfaceOfAnotherPlugin(t *testing.T) {
	for name, make := range map[string]func(node, pod *nettest.NetNS){
		"veth to the host": func(_, pod *nettest.NetNS) {
			link := &netlink.Veth{
				LinkAttrs: netlink.LinkAttrs{Name: "other0"}, PeerName: ifName,
				PeerNamespace: netlink.NsFd(netnsOf(t, pod)),
			}
			must(t, netlink.LinkAdd(link))
		},
		"bridge": func(_, pod *nettest.NetNS) {
			pod.Do(func() { must(t, netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: ifName}})) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			node, pod := newNode(t), newPod(t)
			node.Do(func() { make(node, pod) })
			before := state(t, pod)
			if err := teardown(t, node, linux.New(""), targetOf(specFor(pod, addr4))); err != nil {
				t.Fatal(err)
			}
			wantSame(t, "pod", before, pod)
		})
	}
}

// netnsOf opens a namespace until the test ends.
func netnsOf(t *testing.T, n *nettest.NetNS) int {
	t.Helper()
	h, err := netns.GetFromPath(n.Path)
	must(t, err)
	t.Cleanup(func() { _ = h.Close() })
	return int(h)
}
