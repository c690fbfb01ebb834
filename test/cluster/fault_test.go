// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// outage is the duration of the API server outage.
const outage = time.Minute

// TestOutageDuringPodChurn stops the API server for sixty seconds during a rollout. Meanwhile sandboxes and kubelets
// die, and static pods are added and removed.
func TestOutageDuringPodChurn(t *testing.T) {
	need(t)
	apply(t, deployment("stays", 6)+deployment("goes", 12))
	rollout(t, "deployment/stays")
	rollout(t, "deployment/goes")
	killed := strings.Fields(kubectl(t, "get", "pods", "-l", "app=stays", "--field-selector=spec.nodeName=node-1", "-o",
		"name"))[0]
	killed = strings.TrimPrefix(killed, "pod/")
	before := sandboxes(t, killed)
	// Nodes have received these deletions and creations but not finished them: of one Deployment, and of one that
	// grows.
	apply(t, deployment("comes", 12))
	kubectl(t, "scale", "deployment/stays", "--replicas=12")
	kubectl(t, "scale", "deployment/goes", "--replicas=0")
	eventually(t, func() error { return underWay(t) })
	do(t, c.StopServer())
	stopped, failed := time.Now(), count(t, failedAdditions)

	ctx := t.Context()
	_, err := c.Nodes[0].Run(ctx, "ctr", "tasks", "kill", "-s", "SIGKILL", before)
	do(t, err)
	for _, name := range []string{"removed", "kept"} {
		_, err = c.Nodes[1].Run(ctx, "sh", "-c", `printf '%s' "$1" > /etc/kubernetes/manifests/$0.yaml`, name,
			staticPod(name))
		do(t, err)
	}
	t.Cleanup(func() { _ = os.Remove(c.Nodes[1].Path("/etc/kubernetes/manifests/kept.yaml")) })
	time.Sleep(outage/2 - time.Since(stopped))
	do(t, c.Nodes[2].Kill(ctx, "containerd"))
	_, err = c.Nodes[1].Run(ctx, "rm", "/etc/kubernetes/manifests/removed.yaml")
	do(t, err)
	time.Sleep(outage - time.Since(stopped))
	waiting, failed := count(t, pendingReleases), count(t, failedAdditions)-failed
	t.Logf("at the end of the outage %d releases are queued, and %d ADDs have failed", waiting, failed)
	if waiting == 0 || failed == 0 {
		t.Error("no release was queued or no ADD failed")
	}

	do(t, c.StartServer(ctx))
	back := time.Now()
	rollout(t, "deployment/stays")
	rollout(t, "deployment/comes")
	kubectl(t, "wait", "--for=create", "pod/kept-node-2", "--timeout=2m")
	ready(t, "kept-node-2")
	eventually(t, func() error {
		if now := sandboxes(t, killed); now == before {
			return fmt.Errorf("sandbox of %s is still %s", killed, now)
		}
		return nil
	})
	t.Logf("all pods are ready %.1f s after the end of the outage; %d releases are still queued",
		time.Since(back).Seconds(), count(t, pendingReleases))
	settle(t)
}

// underWay returns nil while pods of "comes" and "stays" are being created and pods of "goes" are being deleted.
func underWay(t *testing.T) error {
	t.Helper()
	out := kubectl(t, "get", "pods", "-o",
		`jsonpath={range .items[*]}{.metadata.labels.app} {.spec.nodeName} {.status.podIP} `+
			`{.metadata.deletionTimestamp}{"\n"}{end}`)
	made, gone := map[string]bool{}, false
	for line := range strings.Lines(out) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 4)
		made[f[0]] = made[f[0]] || f[1] != "" && f[2] == ""
		gone = gone || f[0] == "goes" && f[3] != ""
	}
	if !made["comes"] || !made["stays"] || !gone {
		return fmt.Errorf("not under way: %v, deletions: %v", made, gone)
	}
	return nil
}

// The number of queued releases on a node's disk, and the number of failed ADDs in the plugins' log.
const (
	pendingReleases = "find /var/lib/calico/cni/pending -type f -name '*.json' | wc -l"
	failedAdditions = `cat /var/log/calico/cni/cni.log* | grep -c 'msg="ADD failed"' || true`
)

// count returns the sum of a script's output on all nodes.
func count(t *testing.T, script string) (sum int) {
	t.Helper()
	for _, out := range onNodes(t, "sh", "-c", script) {
		n, err := strconv.Atoi(strings.TrimSpace(out))
		do(t, err)
		sum += n
	}
	return sum
}

// TestRuntimeAndKubeletKilledDuringChurn: repeated SIGKILL while 45 pods start and while they end.
func TestRuntimeAndKubeletKilledDuringChurn(t *testing.T) {
	need(t)
	apply(t, deployment("web", 45))
	kill := func(times int) {
		for i := range times {
			node := c.Nodes[i%len(c.Nodes)]
			for _, service := range []string{"containerd", "kubelet"} {
				// It may still be down from the previous kill.
				_ = node.Kill(t.Context(), service)
			}
			time.Sleep(time.Second)
		}
	}
	kill(6)
	rollout(t, "deployment/web")
	settle(t)
	kubectl(t, "scale", "deployment/web", "--replicas=0")
	kill(6)
	kubectl(t, "wait", "--for=delete", "pod", "-l", "app=web", "--timeout=5m")
	settle(t)
	none(t)
}

// TestRejectedTokensAreReplaced re-creates the plugins' service account, so that all tokens on the nodes are rejected.
// Only `install --watch` reacts to that.
func TestRejectedTokensAreReplaced(t *testing.T) {
	need(t)
	apply(t, pod("before", "node-1", ""))
	ready(t, "before")
	old := onNodes(t, "cat", "/etc/cni/net.d/calico-kubeconfig")
	account := []string{"serviceaccount", "calico-cni-plugin", "-n", "kube-system"}
	kubectl(t, append([]string{"delete"}, account...)...)
	kubectl(t, append([]string{"create"}, account...)...)
	// The server caches accepted tokens for some seconds.
	_, err := c.Nodes[0].Run(t.Context(), "sh", "-c", `printf '%s' "$0" > /run/kubeconfig-before`, old[0])
	do(t, err)
	eventually(t, func() error {
		out, err := c.Nodes[0].Run(t.Context(), c.options.Parts.Kubed, "kubectl", "--kubeconfig=/run/kubeconfig-before",
			"version")
		if err == nil {
			return fmt.Errorf("the old token is still accepted: %s", out)
		}
		if !strings.Contains(out, "must be logged in") && !strings.Contains(out, "Unauthorized") {
			return err
		}
		return nil
	})
	refused := time.Now()
	apply(t, deployment("web", 6))
	kubectl(t, "delete", "pod", "before", "--timeout=3m")
	rollout(t, "deployment/web")
	t.Logf("pods started %.1f s after the tokens were rejected", time.Since(refused).Seconds())
	for i, now := range onNodes(t, "cat", "/etc/cni/net.d/calico-kubeconfig") {
		if now == old[i] {
			t.Errorf("%s still has the rejected token", c.Nodes[i].Spec.Name)
		}
	}
	settle(t)
}

// onNodes runs a command on every node and returns the outputs.
func onNodes(t *testing.T, args ...string) []string {
	t.Helper()
	var all []string
	for _, node := range c.Nodes {
		out, err := node.Run(t.Context(), args...)
		do(t, err)
		all = append(all, out)
	}
	return all
}

// TestOverwrittenConflistIsRestored: `install --watch` restores our configuration, and pods start with it.
func TestOverwrittenConflistIsRestored(t *testing.T) {
	need(t)
	const rival = `{"cniVersion":"1.0.0","name":"rival","plugins":[{"type":"ptp",` +
		`"ipam":{"type":"host-local","ranges":[[{"subnet":"10.99.0.0/24"}]]}}]}`
	ours := onNodes(t, "cat", "/etc/cni/net.d/10-calico.conflist")
	onNodes(t, "sh", "-c", `printf '%s' "$0" > /etc/cni/net.d/10-calico.conflist`, rival)
	apply(t, deployment("web", 6))
	rollout(t, "deployment/web")
	pods, err := c.State().PodAddrs(t.Context(), false)
	do(t, err)
	if strings.Contains(pods.text(), "10.99.") {
		t.Errorf("pods have addresses of the other configuration:\n%s", pods.text())
	}
	for i, now := range onNodes(t, "cat", "/etc/cni/net.d/10-calico.conflist") {
		equal(t, "configuration of "+c.Nodes[i].Spec.Name, now, ours[i])
	}
	settle(t)
}

// TestClusterNotReady: while ClusterInformation is not ready, no pod gets an address, and deleted pods still release
// theirs in the end.
func TestClusterNotReady(t *testing.T) {
	need(t)
	apply(t, pod("before", "node-1", ""))
	ready(t, "before")
	information := func(ready bool) {
		t.Helper()
		manifest := fmt.Sprintf("apiVersion: projectcalico.org/v3\nkind: ClusterInformation\nmetadata: {name: "+
			"default}\nspec: {datastoreReady: %v}\n", ready)
		if _, err := c.Kubectl(context.Background(), manifest, "apply", "-f", "-"); err != nil {
			t.Fatal(err)
		}
	}
	information(false)
	t.Cleanup(func() { kubectlLate(t, "delete", "clusterinformation", "default") })
	t.Cleanup(func() { information(true) })
	apply(t, pod("waits", "node-1", ""))
	kubectl(t, "delete", "pod", "before", "--wait=false")
	eventually(t, func() error {
		if !strings.Contains(cniLog(t, c.Nodes[0]), "pod=default/waits") {
			return fmt.Errorf("the log of node-1 has no waiting ADD for pod")
		}
		return nil
	})
	if got := addrs(t, "waits"); len(got) != 0 {
		t.Errorf("pod has addresses %v while the cluster is not ready", got)
	}
	information(true)
	ready(t, "waits")
	kubectl(t, "wait", "--for=delete", "pod/before", "--timeout=2m")
	settle(t)
}

// TestDiskFull: a node's disk is completely full while pods are added and deleted. When there is space again, the state
// must be consistent.
func TestDiskFull(t *testing.T) {
	need(t)
	apply(t, pod("goes", "node-1", "")+pod("stays", "node-1", ""))
	ready(t, "goes", "stays")
	release := func(ctx context.Context) error {
		_, err := c.Nodes[0].Run(ctx, "rm", "-f", "/var/lib/ballast")
		return err
	}
	t.Cleanup(func() { do(t, release(context.Background())) })
	// It fails when the disk is full.
	out, err := c.Nodes[0].Run(t.Context(), "dd", "if=/dev/zero", "of=/var/lib/ballast", "bs=64k")
	if err == nil || !strings.Contains(out, "No space left") {
		t.Fatalf("fill disk: %v: %s", err, out)
	}
	kubectl(t, "delete", "pod", "goes", "--wait=false")
	apply(t, pod("comes", "node-1", ""))
	time.Sleep(20 * time.Second)
	t.Logf("with a full disk: %s", kubectl(t, "get", "pods", "--no-headers"))
	equal(t, "node to the pod that stays", askFrom(t, c.Nodes[1], "tcp", addrs(t, "stays")[0]+":80"),
		"stays 192.0.2.12")
	do(t, release(t.Context()))
	ready(t, "comes")
	kubectl(t, "wait", "--for=delete", "pod/goes", "--timeout=3m")
	settle(t)
}

// kubectlLate runs kubectl when the test ends.
func kubectlLate(t *testing.T, args ...string) {
	t.Helper()
	if _, err := c.Kubectl(context.Background(), "", args...); err != nil {
		t.Error(err)
	}
}
