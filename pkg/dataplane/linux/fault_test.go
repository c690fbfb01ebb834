// SPDX-License-Identifier: Apache-2.0

package linux_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"calico-cni/pkg/dataplane"
	"calico-cni/pkg/dataplane/linux"
)

// hook is a context that calls a function whenever its Err is called, which Setup does between its steps and on its own
// thread. The argument is the number of previous calls.
type hook struct {
	context.Context
	calls  int
	before func(calls int) error
}

func (c *hook) Err() error {
	c.calls++
	return c.before(c.calls - 1)
}

// cancelAfter returns a context that is cancelled after its Err was called steps times.
func cancelAfter(ctx context.Context, steps int) context.Context {
	return &hook{Context: ctx, before: func(calls int) error {
		if calls >= steps {
			return context.Canceled
		}
		return nil
	}}
}

func TestSetupUndoesFailureAtEveryStep(t *testing.T) {
	for _, family := range families {
		t.Run(family.name, func(t *testing.T) {
			node, pod := newNode(t), newPod(t)
			// Setup sets the opposite values, so that a missing undo is visible.
			writeSysctl(t, pod, "ipv4/ip_forward", "1")
			writeSysctl(t, pod, "ipv6/conf/all/forwarding", "1")
			writeSysctl(t, pod, "ipv6/conf/all/accept_dad", "1")
			writeSysctl(t, pod, "ipv6/conf/all/disable_ipv6", "1")
			writeSysctl(t, pod, "ipv6/conf/lo/disable_ipv6", "0")
			beforeNode, beforePod := state(t, node), state(t, pod)
			steps := 0
			for ; ; steps++ {
				_, err := setup(cancelAfter(t.Context(), steps), node, linux.New(""), specFor(pod, family.addrs...))
				if err == nil {
					break
				}
				if !errors.Is(err, context.Canceled) {
					t.Fatalf("step %d: %v", steps, err)
				}
				wantSame(t, "host after: "+err.Error(), beforeNode, node)
				wantSame(t, "pod after: "+err.Error(), beforePod, pod)
			}
			if steps < 10 {
				t.Errorf("the context was checked %d times, want once per step", steps)
			}
		})
	}
}

func TestSetupUndoesIfInterfaceIsRemovedAtEveryStep(t *testing.T) {
	hits := 0
	for step, reached := 0, true; reached; step++ {
		node, pod := newNode(t), newPod(t)
		writeSysctl(t, pod, "ipv4/ip_forward", "1")
		beforeNode, beforePod := state(t, node), state(t, pod)
		taken := false
		reached = false
		ctx := &hook{Context: t.Context(), before: func(calls int) error {
			if calls != step {
				return nil
			}
			reached = true
			link, err := netlink.LinkByName(hostIfName)
			if err != nil {
				return nil
			}
			taken = true
			return netlink.LinkDel(link)
		}}
		_, err := setup(ctx, node, linux.New(""), specFor(pod, addr4, addr6))
		if !taken {
			must(t, err)
			continue
		}
		hits++
		if err == nil {
			t.Errorf("step %d: Setup succeeded without the interface", step)
		}
		wantSame(t, "host", beforeNode, node)
		wantSame(t, "pod", beforePod, pod)
	}
	if hits < 5 {
		t.Errorf("the interface was removed %d times, want once at each step after its creation", hits)
	}
}

func TestSetupWaitsForCarrierUntilContextEnds(t *testing.T) {
	node, pod := newNode(t), newPod(t)
	beforeNode, beforePod := state(t, node), state(t, pod)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	down := &hook{Context: ctx, before: func(int) error {
		link, err := netlink.LinkByName(hostIfName)
		if err != nil || link.Attrs().Flags&net.FlagUp == 0 {
			return nil
		}
		time.AfterFunc(10*time.Millisecond, cancel)
		return netlink.LinkSetDown(link)
	}}
	_, err := setup(down, node, linux.New(""), specFor(pod, addr4))
	if err == nil || !strings.Contains(err.Error(), "await carrier of "+hostIfName) {
		t.Errorf("error is %v, want one that names the carrier of %s", err, hostIfName)
	}
	wantSame(t, "host", beforeNode, node)
	wantSame(t, "pod", beforePod, pod)
}

func TestSetupAcceptsHostRoutesOfNodeAgent(t *testing.T) {
	node, pod := newNode(t), newPod(t)
	added := map[netip.Addr]bool{}
	agent := &hook{Context: t.Context(), before: func(int) error {
		link, err := netlink.LinkByName(hostIfName)
		if err != nil {
			return nil
		}
		for _, addr := range []netip.Addr{addr4, addr6} {
			if netlink.RouteAdd(&netlink.Route{
				LinkIndex: link.Attrs().Index, Dst: ipNet(addr),
				Scope: netlink.SCOPE_LINK,
			}) == nil {
				added[addr] = true
			}
		}
		return nil
	}}
	if _, err := setup(agent, node, linux.New(""), specFor(pod, addr4, addr6)); err != nil {
		t.Error(err)
	}
	if !added[addr4] || !added[addr6] {
		t.Errorf("the agent added the routes of %v first, want both addresses", added)
	}
	golden(t, "dual.host", node)
}

func TestSetupReportsAndUndoesHostSysctlFailure(t *testing.T) {
	node, pod := newNode(t), newPod(t)
	tree := sysctlsWithout(t, "net/ipv4/conf")
	beforeNode, beforePod := state(t, node), state(t, pod)
	_, err := setup(t.Context(), node, linux.New(tree), specFor(pod, addr4, addr6))
	if err == nil {
		t.Fatal("Setup succeeded without conf/*/route_localnet")
	}
	file := filepath.Join(tree, "net/ipv4/conf", hostIfName, "route_localnet")
	if !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "to 1") {
		t.Errorf("error %q does not name both %s and the value 1", err, file)
	}
	wantSame(t, "host", beforeNode, node)
	wantSame(t, "pod", beforePod, pod)
}

func TestSetupUndoesPodSysctlFailure(t *testing.T) {
	node, pod := newNode(t), newPod(t)
	writeSysctl(t, pod, "ipv4/ip_forward", "1")
	tree := sysctlsWithout(t, "net/ipv6/conf")
	beforeNode, beforePod := state(t, node), state(t, pod)
	_, err := setup(t.Context(), node, linux.New(tree), specFor(pod, addr4, addr6))
	if err == nil || !strings.Contains(err.Error(), "net/ipv6/conf/all/accept_dad") {
		t.Errorf("error is %v, want one that names net/ipv6/conf/all/accept_dad", err)
	}
	wantSame(t, "host", beforeNode, node)
	wantSame(t, "pod", beforePod, pod)
}

func TestSetupIgnoresOptionalSysctlFailure(t *testing.T) {
	node, pod := newNode(t), newPod(t)
	mustSetup(t, node, linux.New(sysctlsWithout(t, "net/ipv4/neigh")), specFor(pod, addr4))
	if got := state(t, node); !strings.Contains(got, "proxy_delay=80") {
		t.Errorf("proxy_delay was set despite the fault:\n%s", got)
	}
}

func TestKernelWithoutIPv6(t *testing.T) {
	tree := sysctlsWithout(t, "net/ipv6")
	t.Run("accepts an IPv4 pod", func(t *testing.T) {
		node, pod := newNode(t), newPod(t)
		mustSetup(t, node, linux.New(tree), specFor(pod, addr4))
	})
	t.Run("rejects an IPv6 pod", func(t *testing.T) {
		node, pod := newNode(t), newPod(t)
		beforeNode, beforePod := state(t, node), state(t, pod)
		_, err := setup(t.Context(), node, linux.New(tree), specFor(pod, addr4, addr6))
		if !errors.Is(err, dataplane.ErrNoIPv6) {
			t.Errorf("error is %v, want ErrNoIPv6", err)
		}
		wantSame(t, "host", beforeNode, node)
		wantSame(t, "pod", beforePod, pod)
	})
}

// sysctlsWithout returns a directory of links to the entries of /proc/sys, without one of its directories.
func sysctlsWithout(t *testing.T, missing string) string {
	t.Helper()
	root := t.TempDir()
	dir := ""
	for _, part := range strings.Split(missing, "/") {
		must(t, os.MkdirAll(filepath.Join(root, dir), 0o755))
		entries, err := os.ReadDir(filepath.Join("/proc/sys", dir))
		must(t, err)
		for _, entry := range entries {
			if entry.Name() != part {
				must(t, os.Symlink(filepath.Join("/proc/sys", dir, entry.Name()),
					filepath.Join(root, dir, entry.Name())))
			}
		}
		dir = filepath.Join(dir, part)
	}
	return root
}
