// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"strings"
	"testing"
)

// roll applies a manifest of the plugins and waits until it is installed on every node.
func roll(t *testing.T, manifest string) {
	t.Helper()
	kubectlLate(t, "apply", "--server-side", "--force-conflicts", "-f", manifest)
	kubectlLate(t, "rollout", "status", "daemonset/calico-cni", "-n", "kube-system", "--timeout=5m")
}

// TestUpgradeAndDowngrade downgrades the cluster to the previous release and upgrades it again. Each version must
// handle the state of the other: pods work throughout, are deleted by the other version's binaries, and both versions
// use the same blocks.
func TestUpgradeAndDowngrade(t *testing.T) {
	need(t)
	if before.Missing != "" {
		t.Skip(before.Missing)
	}
	for _, node := range c.Nodes {
		_, err := node.Run(t.Context(), "ctr", "images", "import", "--local", before.Image)
		do(t, err)
	}
	today := saysVersion(t)
	apply(t, pod("client", "node-3", "")+deployment("new", 6)+deployment("new-for-long", 3))
	rollout(t, "deployment/new")
	rollout(t, "deployment/new-for-long")
	ready(t, "client")

	t.Cleanup(func() { roll(t, c.options.Parts.Manifest) })
	roll(t, before.Manifest)
	if got := saysVersion(t); !strings.Contains(got, before.Commit) {
		t.Fatalf("plugins are %s, want those of %s", got, before.Commit)
	}
	reached(t, "new", "new-for-long")
	// The previous release deletes pods of the current one and allocates in its blocks.
	kubectl(t, "scale", "deployment/new", "--replicas=0")
	kubectl(t, "wait", "--for=delete", "pod", "-l", "app=new", "--timeout=3m")
	apply(t, deployment("old", 6)+deployment("old-for-long", 3))
	rollout(t, "deployment/old")
	rollout(t, "deployment/old-for-long")
	settle(t)
	blocks := claimed(t)

	roll(t, c.options.Parts.Manifest)
	equal(t, "plugins after the upgrade", saysVersion(t), today)
	reached(t, "new-for-long", "old", "old-for-long")
	kubectl(t, "scale", "deployment/old", "--replicas=0")
	kubectl(t, "wait", "--for=delete", "pod", "-l", "app=old", "--timeout=3m")
	apply(t, deployment("newer", 6))
	rollout(t, "deployment/newer")
	reached(t, "new-for-long", "old-for-long", "newer")
	settle(t)
	equal(t, "blocks after the upgrade", claimed(t), blocks)
}

// saysVersion returns the plugin version that the first node reports.
func saysVersion(t *testing.T) string {
	t.Helper()
	out, err := c.Nodes[0].Run(t.Context(), pluginDir+"/calico", "-v")
	do(t, err)
	return strings.TrimSpace(out)
}

// claimed returns the blocks of the cluster and their nodes.
func claimed(t *testing.T) string {
	t.Helper()
	return kubectl(t, "get", "blockaffinities", "-o", `jsonpath={range .items[*]}{.spec.cidr} {.spec.node}{"\n"}{end}`)
}

// reached fails the test unless the client pod reaches all pods of the Deployments.
func reached(t *testing.T, deployments ...string) {
	t.Helper()
	from := addrs(t, "client")[0]
	for _, name := range deployments {
		pods := strings.Fields(kubectl(t, "get", "pods", "-l", "app="+name, "-o",
			`jsonpath={range .items[*]}{.metadata.name}/{.status.podIP} {end}`))
		if len(pods) == 0 {
			t.Errorf("%s has no pods", name)
		}
		for _, p := range pods {
			pod, addr, _ := strings.Cut(p, "/")
			out, err := c.Kubectl(context.Background(), "", "exec", "client", "--", "/probe", "ask", "tcp", addr+":80")
			if want := pod + " " + from + "\n"; err != nil || out != want {
				t.Errorf("client to %s: got %q, %v, want %q", p, out, err, want)
			}
		}
	}
}
