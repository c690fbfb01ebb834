// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"calico-cni/test/parts"
)

// TestDeploymentGrowsAndShrinks scales from 0 to 60 pods and back. No two pods may ever have the same address, and none
// is allocated in the end.
func TestDeploymentGrowsAndShrinks(t *testing.T) {
	need(t)
	apply(t, deployment("web", 0))
	started := time.Now()
	kubectl(t, "scale", "deployment/web", "--replicas=60")
	rollout(t, "deployment/web")
	t.Logf("60 pods are ready after %.1f s", time.Since(started).Seconds())
	pods, err := c.State().PodAddrs(t.Context(), false)
	do(t, err)
	if len(pods) != 60 || len(shared(pods)) != 0 {
		t.Errorf("60 pods have %d addresses:\n%s", len(pods), pods.text())
	}
	settle(t)
	started = time.Now()
	kubectl(t, "scale", "deployment/web", "--replicas=0")
	settle(t)
	kubectl(t, "wait", "--for=delete", "pod", "-l", "app=web", "--timeout=3m")
	settle(t)
	t.Logf("all are gone after %.1f s", time.Since(started).Seconds())
	none(t)
}

// none fails the test if an address is allocated.
func none(t *testing.T) {
	t.Helper()
	blocks, err := c.State().BlockAddrs(t.Context())
	do(t, err)
	if len(blocks) != 0 {
		t.Errorf("addresses are still allocated:\n%s", blocks.text())
	}
}

// TestStatefulSetIsReplaced: its pods keep their names, and no address is leaked.
func TestStatefulSetIsReplaced(t *testing.T) {
	need(t)
	apply(t, `---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 3
  podManagementPolicy: Parallel
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: main, image: `+parts.Probe+`, args: [serve, "80"]}]
`)
	rollout(t, "statefulset/db")
	kubectl(t, "rollout", "restart", "statefulset/db")
	rollout(t, "statefulset/db")
	settle(t)
}

// TestJobStorm: 200 pods that end immediately release their addresses before they are deleted.
func TestJobStorm(t *testing.T) {
	need(t)
	apply(t, `---
apiVersion: batch/v1
kind: Job
metadata: {name: storm}
spec:
  completions: 200
  parallelism: 30
  template:
    spec:
      restartPolicy: Never
      containers: [{name: main, image: `+parts.Probe+`, args: [exit]}]
`)
	started := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	if _, err := c.Kubectl(ctx, "", "wait", "--for=condition=Complete", "job/storm", "--timeout=10m"); err != nil {
		t.Fatal(err)
	}
	t.Logf("200 pods have ended after %.1f s", time.Since(started).Seconds())
	settle(t)
	none(t)
}

// TestKilledSandboxIsReplaced: the pod gets a new sandbox, possibly with another address, and the old address is not
// leaked.
func TestKilledSandboxIsReplaced(t *testing.T) {
	need(t)
	apply(t, pod("killed", "node-1", ""))
	ready(t, "killed")
	before := sandboxes(t, "killed")
	_, err := c.Nodes[0].Run(t.Context(), "ctr", "tasks", "kill", "-s", "SIGKILL", before)
	do(t, err)
	eventually(t, func() error {
		if now := sandboxes(t, "killed"); now == before || now == "" {
			return fmt.Errorf("sandbox of pod is %q, and was %q", now, before)
		}
		return nil
	})
	ready(t, "killed")
	settle(t)
	eventually(t, func() error {
		_, err := c.Nodes[1].Run(t.Context(), probe(), "ask", "tcp", addrs(t, "killed")[0]+":80")
		return err
	})
}

// sandboxes returns the container ID in a pod's annotations.
func sandboxes(t *testing.T, name string) string {
	t.Helper()
	return strings.TrimSpace(kubectl(t, "get", "pod", name, "-o",
		`jsonpath={.metadata.annotations.cni\.projectcalico\.org/containerID}`))
}
