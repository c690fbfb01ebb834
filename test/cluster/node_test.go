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

// TestDrainMovesAllPods of a node, and gives back what they had on it.
func TestDrainMovesAllPods(t *testing.T) {
	need(t)
	apply(t, deployment("web", 12))
	rollout(t, "deployment/web")
	t.Cleanup(func() { kubectlLate(t, "uncordon", "node-2") })
	kubectl(t, "drain", "node-2", "--ignore-daemonsets", "--force", "--timeout=3m")
	rollout(t, "deployment/web")
	settle(t)
	blocks, err := c.BlockAddrs(t.Context())
	do(t, err)
	if strings.Contains(blocks.text(), " node-2 ") {
		t.Errorf("addresses are taken still on node-2:\n%s", blocks.text())
	}
}

// TestNodeIsDeletedAndReturns: its object goes, its kubelet makes it again; pods run on it as before.
func TestNodeIsDeletedAndReturns(t *testing.T) {
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

// TestNodeReboots: its namespaces are gone at once, its disk is kept. Its pods come back, and what the sandboxes before had
// is given back.
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

// TestNodeIsReplacedByAnotherOfItsName, whose disk is empty: nobody is left who knows the sandboxes of before. Its pods come
// up anew, in the blocks that the node has by its name, and on no address of before, for these are taken still. A GC gives
// them back.
func TestNodeIsReplacedByAnotherOfItsName(t *testing.T) {
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
	blocks, err := c.BlockAddrs(t.Context())
	do(t, err)
	for _, addr := range old {
		if len(blocks[netip.MustParseAddr(addr)]) == 0 {
			t.Errorf("%s, of a pod before the replacement, is free: who freed it?", addr)
		}
	}
	collect(t, c.Nodes[1], network(t, c.Nodes[1], `"1.0.0"`, `"1.1.0"`))
	settle(t)
}

// TestStaticPodComesAndGoes: a pod that only its node knows, until it is up.
func TestStaticPodComesAndGoes(t *testing.T) {
	need(t)
	file := c.Nodes[0].Path("/etc/kubernetes/manifests/static.yaml")
	_, err := c.Nodes[0].Run(t.Context(), "sh", "-c", `printf '%s' "$0" > /etc/kubernetes/manifests/static.yaml`, staticPod("static"))
	do(t, err)
	t.Cleanup(func() { _ = os.Remove(file) })
	kubectl(t, "wait", "--for=create", "pod/static-node-1", "--timeout=1m")
	ready(t, "static-node-1")
	settle(t)
	equal(t, "node to static pod", askFrom(t, c.Nodes[1], "tcp", addrs(t, "static-node-1")[0]+":80"), "static-node-1 192.0.2.12")
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
