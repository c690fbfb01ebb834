// SPDX-License-Identifier: Apache-2.0

package linux_test

import (
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"calico-cni/internal/nettest"
	"calico-cni/pkg/dataplane"
	"calico-cni/pkg/dataplane/linux"
)

func TestTeardownChecksMark(t *testing.T) {
	for _, c := range []struct {
		name, alias string
		change      func(*dataplane.Target)
		goes        bool
	}{
		{"own mark", "net.sandbox-1/eth0", func(*dataplane.Target) {}, true},
		{"own mark, second name", "net.sandbox-1/eth0", func(t *dataplane.Target) {
			t.HostIfName, t.SecondHostIfName = "cali00000000000", hostIfName
		}, true},
		{"alias of another program", "sandbox-1", func(t *dataplane.Target) { t.Unmarked = true }, false},
		{"mark of another container", "net.sandbox-2/eth0", func(*dataplane.Target) {}, false},
		{"mark of another interface", "net.sandbox-1/net1", func(*dataplane.Target) {}, false},
		{"mark of another network", "other.sandbox-1/eth0", func(*dataplane.Target) {}, false},
		{"no mark", "", func(*dataplane.Target) {}, false},
		{"no mark, Unmarked set", "", func(t *dataplane.Target) { t.Unmarked = true }, true},
		{"no mark, no container", "", func(t *dataplane.Target) { t.ContainerID = "" }, false},
		{
			"mark of another container, Unmarked set", "net.sandbox-2/eth0",
			func(t *dataplane.Target) { t.Unmarked = true }, false,
		},
		{"no mark, second name", "", func(t *dataplane.Target) {
			t.HostIfName, t.SecondHostIfName, t.Unmarked = "cali00000000000", hostIfName, true
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newAttachedPod(t)
			setAlias(t, w.node, hostIfName, c.alias)
			before := state(t, w.node)
			target := targetOf(w.spec)
			target.NetNS = "" // The pod's end follows other rules, and removing it would remove this end.
			c.change(&target)
			must(t, teardown(t, w.node, linux.New(""), target))
			if c.goes {
				before = ""
			}
			if got := state(t, w.node); strings.Contains(got, hostIfName) == c.goes || before != "" && got != before {
				t.Errorf("want removed: %t; the host is now:\n%s", c.goes, got)
			}
		})
	}
}

// TestTeardownKeepsInterfaceUnderConstruction runs the DEL of an older sandbox while another implementation has created
// the pair of a newer one, but has not brought it up.
func TestTeardownKeepsInterfaceUnderConstruction(t *testing.T) {
	w := newAttachedPod(t)
	setAlias(t, w.node, hostIfName, "")
	w.down(t, w.node, hostIfName, w.pod, ifName)
	target := targetOf(w.spec)
	target.NetNS, target.Unmarked = "", true
	must(t, teardown(t, w.node, linux.New(""), target))
	if got := state(t, w.node); !strings.Contains(got, hostIfName) {
		t.Errorf("the interface is gone:\n%s", got)
	}
}

// TestTeardownOfAnotherNetworkKeepsPodInterface runs the DEL after an ADD in another network that failed because the
// interface name was taken.
func TestTeardownOfAnotherNetworkKeepsPodInterface(t *testing.T) {
	w := newAttachedPod(t)
	beforeNode, beforePod := state(t, w.node), state(t, w.pod)
	target := targetOf(w.spec)
	target.Handle = "other.sandbox-1"
	must(t, teardown(t, w.node, linux.New(""), target))
	wantSame(t, "host", beforeNode, w.node)
	wantSame(t, "pod", beforePod, w.pod)
}

// TestTeardownOfSecondKeepsUnmarkedFirst deletes net1. The interface of eth0 has no mark, as by Calico, and its name is
// the one that net1 could have.
func TestTeardownOfSecondKeepsUnmarkedFirst(t *testing.T) {
	w := newAttachedPod(t)
	setAlias(t, w.node, hostIfName, "")
	beforeNode, beforePod := state(t, w.node), state(t, w.pod)
	target := targetOf(secondSpec(w.pod))
	target.Unmarked = true
	must(t, teardown(t, w.node, linux.New(""), target))
	wantSame(t, "host", beforeNode, w.node)
	wantSame(t, "pod", beforePod, w.pod)
}

func TestTeardownReportsOtherInterfaces(t *testing.T) {
	inNetwork := dataplane.Others{InNetwork: true}
	for _, c := range []struct {
		name   string
		target func(node, pod *nettest.NetNS) dataplane.Target
		want   dataplane.Others
	}{
		{"first removed", func(_, pod *nettest.NetNS) dataplane.Target { return targetOf(specFor(pod)) }, inNetwork},
		{
			"second removed", func(_, pod *nettest.NetNS) dataplane.Target { return targetOf(secondSpec(pod)) },
			inNetwork,
		},
		{"second already gone", func(node, pod *nettest.NetNS) dataplane.Target {
			node.Do(func() {
				link, err := netlink.LinkByName(secondHostIfName)
				must(t, err)
				must(t, netlink.LinkDel(link))
			})
			return targetOf(specFor(pod))
		}, dataplane.Others{}},
		{"second in another network", func(node, pod *nettest.NetNS) dataplane.Target {
			setAlias(t, node, secondHostIfName, "other.sandbox-1/net1")
			return targetOf(specFor(pod))
		}, dataplane.Others{Elsewhere: true}},
		{"second in another network, first without a mark", func(node, pod *nettest.NetNS) dataplane.Target {
			setAlias(t, node, secondHostIfName, "other.sandbox-1/net1")
			setAlias(t, node, hostIfName, "")
			return targetOf(specFor(pod))
		}, dataplane.Others{Elsewhere: true}},
		{"own mark under an unknown name", func(node, pod *nettest.NetNS) dataplane.Target {
			setAlias(t, node, secondHostIfName, "net.sandbox-1/eth0")
			return targetOf(specFor(pod))
		}, dataplane.Others{}},
		{"another owner", func(_, pod *nettest.NetNS) dataplane.Target {
			spec := specFor(pod)
			spec.Handle = "net.sandbox-2"
			return targetOf(spec)
		}, dataplane.Others{}},
	} {
		for _, path := range []string{"pod", "gone"} {
			t.Run(c.name+", namespace "+path, func(t *testing.T) {
				node, pod := newNode(t), newPod(t)
				addSecond(t, node, pod)
				target := c.target(node, pod)
				if path == "gone" {
					target.NetNS = ""
				}
				node.Do(func() {
					others, err := linux.New("").Teardown(t.Context(), target)
					if err != nil || others != c.want {
						t.Errorf("others is %+v, %v, want %+v", others, err, c.want)
					}
				})
			})
		}
	}
}
