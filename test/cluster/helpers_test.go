// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"calico-cni/test/machine"
	"calico-cni/test/parts"
)

// stateTimeout bounds the wait for an expected state. The machine may be busy.
const stateTimeout = 3 * time.Minute

// need skips the test if there is no cluster. Otherwise the checker runs until the end of the test, when all its pods
// are gone and every address is accounted for.
func need(t *testing.T) {
	t.Helper()
	needUnwatched(t, func() {
		checker := c.State().Check(context.Background())
		t.Cleanup(func() {
			rounds, err := checker.Stop()
			if err != nil {
				t.Error(err)
			}
			if rounds == 0 {
				t.Error("the checker made no round")
			}
			t.Logf("the checker made %d rounds", rounds)
		})
	})
}

// needUnwatched is like need, with watch instead of the checker. Its cleanup runs last.
func needUnwatched(t *testing.T, watch func()) {
	t.Helper()
	if c == nil {
		t.Skip("needs a cluster: run with -e2e, or make test-e2e")
	}
	watch()
	t.Cleanup(func() {
		_, err := c.Kubectl(context.Background(), "", "delete", "deployments,statefulsets,jobs,services,pods",
			"--field-selector=metadata.name!=kubernetes", "--grace-period=1", "--timeout=3m")
		if err != nil {
			t.Error(err)
		}
		settle(t)
	})
}

// settle fails the test unless blocks and kernels reach exactly the addresses of the existing pods.
func settle(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), stateTimeout)
	defer cancel()
	if err := c.State().Settle(ctx); err != nil {
		t.Error(err)
	}
}

// kubectl runs kubectl or fails the test.
func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := c.Kubectl(t.Context(), "", args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// apply applies a manifest.
func apply(t *testing.T, manifest string) {
	t.Helper()
	if _, err := c.Kubectl(t.Context(), manifest, "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
}

// pod is a manifest of a pod that serves TCP and UDP on port 80. more is added to its container, in YAML flow style.
func pod(name, node, more string) string {
	return fmt.Sprintf(`---
apiVersion: v1
kind: Pod
metadata: {name: %s, labels: {app: %s}}
spec:
  nodeName: %s
  terminationGracePeriodSeconds: 1
  containers: [{name: main, image: %s, args: [serve, "80"]%s}]
`, name, name, node, parts.Probe, more)
}

// deployment is a manifest of a Deployment of such pods.
func deployment(name string, replicas int) string {
	return fmt.Sprintf(`---
apiVersion: apps/v1
kind: Deployment
metadata: {name: %s}
spec:
  replicas: %d
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: main, image: %[3]s, args: [serve, "80"]}]
`, name, replicas, parts.Probe)
}

// ready waits until pods are Ready.
func ready(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		kubectl(t, "wait", "--for=condition=Ready", "pod/"+name, "--timeout=3m")
	}
}

// rollout waits until all replicas of a workload are available.
func rollout(t *testing.T, what string) {
	t.Helper()
	kubectl(t, "rollout", "status", what, "--timeout=5m")
}

// addrs returns a pod's addresses.
func addrs(t *testing.T, name string) []string {
	t.Helper()
	return strings.Fields(kubectl(t, "get", "pod", name, "-o", "jsonpath={.status.podIPs[*].ip}"))
}

// ask makes a request from a pod to a server and returns the answer: "NAME FROM".
func ask(t *testing.T, from, network, address string) string {
	t.Helper()
	return strings.TrimSpace(kubectl(t, "exec", from, "--", "/probe", "ask", network, address))
}

// askFrom makes a request from a node to a server.
func askFrom(t *testing.T, node *machine.Machine, network, address string) string {
	t.Helper()
	out, err := node.Run(t.Context(), probe(), "ask", network, address)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// probe is the path of the program in the pods, on every node and on the host.
func probe() string {
	for _, image := range c.options.Parts.Images {
		if binary, ok := strings.CutSuffix(image, ".tar"); ok && strings.HasSuffix(binary, "/probe") {
			return binary
		}
	}
	return ""
}

// eventually waits until f succeeds.
func eventually(t *testing.T, f func() error) {
	t.Helper()
	deadline := time.Now().Add(stateTimeout)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// equal fails the test unless two texts are equal.
func equal(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// do fails the test on an error.
func do(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// cniLog returns the plugins' log on a node.
func cniLog(t *testing.T, node *machine.Machine) string {
	t.Helper()
	data, err := os.ReadFile(node.Path("/var/log/calico/cni/cni.log"))
	do(t, err)
	return string(data)
}
