// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"calico-cni/test/parts"
)

// TestDrainMovesAllPods drains a node. The addresses of its pods must be released.
func TestDrainMovesAllPods(t *testing.T) {
	need(t)
	apply(t, deployment("web", 12))
	rollout(t, "deployment/web")
	t.Cleanup(func() { kubectlLate(t, "uncordon", "node-2") })
	kubectl(t, "drain", "node-2", "--ignore-daemonsets", "--force", "--timeout=3m")
	rollout(t, "deployment/web")
	settle(t)
	blocks, err := c.State().BlockAddrs(t.Context())
	do(t, err)
	if strings.Contains(blocks.text(), " node-2 ") {
		t.Errorf("addresses are still allocated on node-2:\n%s", blocks.text())
	}
}

// TestRecreatedNodeRunsPods: a node object is deleted and re-created by its kubelet. Its pods keep running.
func TestRecreatedNodeRunsPods(t *testing.T) {
	need(t)
	apply(t, pod("old", "node-3", ""))
	ready(t, "old")
	kubectl(t, "delete", "node", "node-3")
	// The kubelet registers its node when it starts.
	do(t, c.Nodes[2].Kill(t.Context(), "kubelet"))
	kubectl(t, "wait", "--for=create", "node/node-3", "--timeout=3m")
	kubectl(t, "wait", "--for=condition=Ready", "node/node-3", "--timeout=3m")
	eventually(t, func() error {
		_, err := c.Kubectl(t.Context(), pod("new", "node-3", ""), "apply", "-f", "-")
		return err
	})
	ready(t, "new")
	kubectl(t, "delete", "pod", "old", "--ignore-not-found", "--timeout=3m")
	settle(t)
}

// TestNodeReboots: the node's namespaces disappear, its disk is kept. Its pods start again, and the addresses of the
// earlier sandboxes are released.
func TestNodeReboots(t *testing.T) {
	need(t)
	apply(t, deployment("web", 9)+pod("stays", "node-2", ""))
	rollout(t, "deployment/web")
	ready(t, "stays")
	before := sandboxes(t, "stays")
	do(t, c.Nodes[1].PowerOff())
	do(t, c.Nodes[1].PowerOn())
	eventually(t, func() error {
		if now := sandboxes(t, "stays"); now == before || now == "" {
			return fmt.Errorf("sandbox of pod is %q, and was %q before the reboot", now, before)
		}
		return nil
	})
	ready(t, "stays")
	rollout(t, "deployment/web")
	settle(t)
	equal(t, "another node to the pod", askFrom(t, c.Nodes[0], "tcp", addrs(t, "stays")[0]+":80"), "stays 192.0.2.11")
}

// TestNodeIsReplacedBySameName: a node is replaced by one with an empty disk, which does not know the earlier
// sandboxes. Its pods start again in the blocks of the node, but with other addresses, because the earlier ones are
// still allocated. A GC releases these.
func TestNodeIsReplacedBySameName(t *testing.T) {
	need(t)
	var old []string
	for _, name := range []string{"a", "b", "c"} {
		apply(t, pod(name, "node-2", ""))
		ready(t, name)
		old = append(old, addrs(t, name)...)
	}
	before := claimed(t)
	do(t, c.Replace(1))
	for _, name := range []string{"a", "b", "c"} {
		eventually(t, func() error {
			if now := addrs(t, name); len(now) != 1 || slices.Contains(old, now[0]) {
				return fmt.Errorf("pod %s has addresses %v; those before the replacement were %v", name, now, old)
			}
			return nil
		})
		ready(t, name)
		equal(t, "another node to the pod", askFrom(t, c.Nodes[0], "tcp", addrs(t, name)[0]+":80"), name+" 192.0.2.11")
	}
	equal(t, "blocks", claimed(t), before)
	blocks, err := c.State().BlockAddrs(t.Context())
	do(t, err)
	for _, addr := range old {
		if len(blocks[netip.MustParseAddr(addr)]) == 0 {
			t.Errorf("%s, of a pod before the replacement, was released", addr)
		}
	}
	collect(t, c.Nodes[1], network(t, c.Nodes[1], `"1.0.0"`, `"1.1.0"`))
	settle(t)
}

// TestStaticPod: a pod that only its node knows until it runs.
func TestStaticPod(t *testing.T) {
	need(t)
	file := c.Nodes[0].Path("/etc/kubernetes/manifests/static.yaml")
	_, err := c.Nodes[0].Run(t.Context(), "sh", "-c", `printf '%s' "$0" > /etc/kubernetes/manifests/static.yaml`,
		staticPod("static"))
	do(t, err)
	t.Cleanup(func() { _ = os.Remove(file) })
	kubectl(t, "wait", "--for=create", "pod/static-node-1", "--timeout=1m")
	ready(t, "static-node-1")
	settle(t)
	equal(t, "node to static pod", askFrom(t, c.Nodes[1], "tcp", addrs(t, "static-node-1")[0]+":80"),
		"static-node-1 192.0.2.12")
	_, err = c.Nodes[0].Run(t.Context(), "rm", "/etc/kubernetes/manifests/static.yaml")
	do(t, err)
	kubectl(t, "wait", "--for=delete", "pod/static-node-1", "--timeout=2m")
	settle(t)
	none(t)
}

// staticPod is a manifest for the kubelet's directory.
func staticPod(name string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Pod
metadata: {name: %s, namespace: default}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: main, image: %s, args: [serve, "80"]}]
`, name, parts.Probe)
}
