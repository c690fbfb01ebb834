// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"calico-cni/test/machine"
)

// TestPathMTUIsLearned: the node reports a narrower link behind it to the pod, and the pod's traffic arrives.
func TestPathMTUIsLearned(t *testing.T) {
	need(t)
	apply(t, pod("source", "node-1", "")+drain("sink", "node-2"))
	ready(t, "source", "sink")
	sink := addrs(t, "sink")[0]
	node := c.Nodes[0]
	narrow(t, node, 1400)
	kubectl(t, "exec", "source", "--", "/probe", "pour", sink+":80", "1000000")
	learned, err := node.Run(t.Context(), "sh", "-c", "for n in $(ls /run/netns); do ip -n $n route get "+sink+"; done")
	do(t, err)
	if !strings.Contains(learned, "mtu 1400") {
		t.Errorf("the pod's route to %s does not have the MTU 1400:\n%s", sink, learned)
	}
}

// narrow reduces the MTU of a node's routes to the second node, like a narrower link behind it, until the test ends.
func narrow(t *testing.T, node *machine.Machine, mtu int) {
	t.Helper()
	routes, err := node.Run(t.Context(), "sh", "-c", "ip route | grep -F 'via 192.0.2.12 '")
	do(t, err)
	for route := range strings.Lines(routes) {
		route = strings.TrimSpace(route)
		_, err = node.Run(t.Context(), "sh", "-c", fmt.Sprintf("ip route replace %s mtu lock %d", route, mtu))
		do(t, err)
		t.Cleanup(func() {
			if _, err := node.Run(context.Background(), "sh", "-c", "ip route replace "+route); err != nil {
				t.Error(err)
			}
		})
	}
}

// links sets the MTU of all links between the nodes.
func links(t *testing.T, mtu int) {
	t.Helper()
	names := []string{bridge}
	for _, node := range c.Nodes {
		names = append(names, node.Spec.Name)
		if _, err := node.Run(context.Background(), "ip", "link", "set", "eth0", "mtu", fmt.Sprint(mtu)); err != nil {
			t.Error(err)
		}
	}
	for _, name := range names {
		link, err := netlink.LinkByName(name)
		do(t, err)
		do(t, netlink.LinkSetMTU(link, mtu))
	}
}

// TestJumboFrames sets the MTU of the nodes' links to 9000. `install` detects it, and new pods use it. A packet of that
// size passes between pods on different nodes, a larger one does not. Existing pods keep their MTU and can reach new
// ones.
func TestJumboFrames(t *testing.T) {
	need(t)
	apply(t, drain("before", "node-2"))
	ready(t, "before")
	restart := func() {
		kubectlLate(t, "rollout", "restart", "daemonset/calico-cni", "-n", "kube-system")
		kubectlLate(t, "rollout", "status", "daemonset/calico-cni", "-n", "kube-system", "--timeout=5m")
		for _, node := range c.Nodes {
			eventually(t, func() error {
				_, err := node.Run(context.Background(), "sh", "-c",
					"grep -qx $(cat /sys/class/net/eth0/mtu) /var/lib/calico/mtu")
				return err
			})
		}
	}
	t.Cleanup(func() { links(t, 1500); restart() })
	links(t, 9000)
	restart()
	apply(t, pod("a", "node-1", "")+pod("b", "node-2", "")+drain("sink", "node-2"))
	ready(t, "a", "b", "sink")
	a, b := addrs(t, "a")[0], addrs(t, "b")[0]
	// The headers have 20 bytes of IPv4 and 8 of UDP.
	whole := func(size int) (string, error) {
		return c.Kubectl(t.Context(), "", "exec", "a", "--", "/probe", "ask", "udp", b+":80", fmt.Sprint(size-28))
	}
	out, err := whole(9000)
	do(t, err)
	equal(t, "pod to pod with 9000 bytes", strings.TrimSpace(out), "b "+a)
	if out, err = whole(9001); err == nil || !strings.Contains(err.Error(), "message too long") {
		t.Errorf("pod to pod with 9001 bytes: got %q, %v, want message too long", out, err)
	}
	for _, to := range []string{"before", "sink"} {
		kubectl(t, "exec", "a", "--", "/probe", "pour", addrs(t, to)[0]+":80", "1000000")
	}
	// Simulate a link behind the node with the earlier MTU.
	narrow(t, c.Nodes[0], 1500)
	kubectl(t, "exec", "a", "--", "/probe", "pour", addrs(t, "sink")[0]+":80", "1000000")
	eventually(t, func() error {
		out, err := whole(1500)
		if err == nil && strings.TrimSpace(out) != "b "+a {
			return fmt.Errorf("pod to pod with 1500 bytes: got %q", out)
		}
		return err
	})
	if out, err = whole(1501); err == nil {
		t.Errorf("pod to pod with 1501 bytes: got %q, want message too long", out)
	}
}
