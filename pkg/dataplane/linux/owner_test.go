package linux_test

import (
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"calico-cni/internal/nettest"
	"calico-cni/pkg/dataplane"
	"calico-cni/pkg/dataplane/linux"
)

func TestTeardownGoesByTheMark(t *testing.T) {
	for _, c := range []struct {
		name, alias string
		change      func(*dataplane.Target)
		goes        bool
	}{
		{"its own", "net.sandbox-1/eth0", func(*dataplane.Target) {}, true},
		{"its own, under the second name", "net.sandbox-1/eth0", func(t *dataplane.Target) {
			t.HostIfName, t.SecondHostIfName = "cali00000000000", hostIfName
		}, true},
		{"that of older versions", "sandbox-1", func(*dataplane.Target) {}, true},
		{"that of older versions, under the second name", "sandbox-1", func(t *dataplane.Target) {
			t.HostIfName, t.SecondHostIfName = "cali00000000000", hostIfName
		}, false},
		{"another container's, of older versions", "sandbox-2", func(*dataplane.Target) {}, false},
		{"another container's", "net.sandbox-2/eth0", func(*dataplane.Target) {}, false},
		{"another interface's", "net.sandbox-1/net1", func(*dataplane.Target) {}, false},
		{"another network's", "other.sandbox-1/eth0", func(*dataplane.Target) {}, false},
		{"none", "", func(*dataplane.Target) {}, false},
		{"none, and it is known whose", "", func(t *dataplane.Target) { t.Unmarked = true }, true},
		{"none, and no container", "", func(t *dataplane.Target) { t.ContainerID = "" }, false},
		{"another's, where none is known whose", "net.sandbox-2/eth0", func(t *dataplane.Target) { t.Unmarked = true }, false},
		{"none, under the second name", "", func(t *dataplane.Target) {
			t.HostIfName, t.SecondHostIfName, t.Unmarked = "cali00000000000", hostIfName, true
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			setAlias(t, w.node, hostIfName, c.alias)
			before := state(t, w.node)
			target := targetOf(w.spec)
			target.NetNS = "" // The pod's end goes by other rules, and takes this one along.
			c.change(&target)
			must(t, teardown(t, w.node, linux.New(""), target))
			if c.goes {
				before = ""
			}
			if got := state(t, w.node); strings.Contains(got, hostIfName) == c.goes || before != "" && got != before {
				t.Errorf("it goes: want %t; the host is now:\n%s", c.goes, got)
			}
		})
	}
}

// A pair that Setup has just made is down, and has no mark yet: a DEL of an older sandbox must not take it for its own.
func TestTeardownSparesAnInterfaceThatIsBeingMade(t *testing.T) {
	w := newWorld(t)
	setAlias(t, w.node, hostIfName, "")
	w.down(t, w.node, hostIfName, w.pod, ifName)
	target := targetOf(w.spec)
	target.NetNS, target.Unmarked = "", true
	must(t, teardown(t, w.node, linux.New(""), target))
	if got := state(t, w.node); !strings.Contains(got, hostIfName) {
		t.Errorf("it is gone:\n%s", got)
	}
}

// An ADD for another network that found the name taken is followed by a DEL.
func TestTeardownOfAnotherNetworkSparesThePodInterface(t *testing.T) {
	w := newWorld(t)
	beforeNode, beforePod := state(t, w.node), state(t, w.pod)
	target := targetOf(w.spec)
	target.Owner = "other.sandbox-1"
	must(t, teardown(t, w.node, linux.New(""), target))
	wantSame(t, "host", beforeNode, w.node)
	wantSame(t, "pod", beforePod, w.pod)
}

// Calico's mark is none and that of older versions has no interface name: neither says that it is not net1's.
func TestTeardownOfTheSecondSparesAFirstWithoutName(t *testing.T) {
	for _, alias := range []string{"", "sandbox-1"} {
		w := newWorld(t)
		setAlias(t, w.node, hostIfName, alias)
		beforeNode, beforePod := state(t, w.node), state(t, w.pod)
		target := targetOf(secondSpec(w.pod))
		target.Unmarked = true
		must(t, teardown(t, w.node, linux.New(""), target))
		wantSame(t, "host", beforeNode, w.node)
		wantSame(t, "pod", beforePod, w.pod)
	}
}

func TestTeardownTellsOfOthersAlsoFromTheHostAlone(t *testing.T) {
	inNetwork := dataplane.Others{InNetwork: true}
	for _, c := range []struct {
		name   string
		target func(node, pod *nettest.NetNS) dataplane.Target
		want   dataplane.Others
	}{
		{"the first goes", func(_, pod *nettest.NetNS) dataplane.Target { return targetOf(specFor(pod)) }, inNetwork},
		{"the second goes", func(_, pod *nettest.NetNS) dataplane.Target { return targetOf(secondSpec(pod)) }, inNetwork},
		{"the second is gone", func(node, pod *nettest.NetNS) dataplane.Target {
			node.Do(func() {
				link, err := netlink.LinkByName(secondHostIfName)
				must(t, err)
				must(t, netlink.LinkDel(link))
			})
			return targetOf(specFor(pod))
		}, dataplane.Others{}},
		{"the second is of another network", func(node, pod *nettest.NetNS) dataplane.Target {
			setAlias(t, node, secondHostIfName, "other.sandbox-1/net1")
			return targetOf(specFor(pod))
		}, dataplane.Others{Elsewhere: true}},
		{"the second is of another network, and the first goes by an older mark", func(node, pod *nettest.NetNS) dataplane.Target {
			setAlias(t, node, secondHostIfName, "other.sandbox-1/net1")
			setAlias(t, node, hostIfName, "sandbox-1")
			return targetOf(specFor(pod))
		}, dataplane.Others{Elsewhere: true}},
		{"its own under a name that it does not know", func(node, pod *nettest.NetNS) dataplane.Target {
			setAlias(t, node, secondHostIfName, "net.sandbox-1/eth0")
			return targetOf(specFor(pod))
		}, dataplane.Others{}},
		{"another owner", func(_, pod *nettest.NetNS) dataplane.Target {
			spec := specFor(pod)
			spec.Owner = "net.sandbox-2"
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
