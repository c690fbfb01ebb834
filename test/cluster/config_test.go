// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
)

// reconfigure changes the network configuration of all nodes like a user: in the ConfigMap, followed by a rollout. The
// end of the test restores it.
func reconfigure(t *testing.T, replace ...string) {
	t.Helper()
	before := kubectl(t, "get", "configmap", "calico-cni-config", "-n", "kube-system", "-o",
		"jsonpath={.data.cni_network_config}")
	after := strings.NewReplacer(replace...).Replace(before)
	if after == before {
		t.Fatalf("nothing to replace in\n%s", before)
	}
	set := func(config string) {
		patch, err := json.Marshal(map[string]any{"data": map[string]string{"cni_network_config": config}})
		do(t, err)
		kubectlLate(t, "patch", "configmap", "calico-cni-config", "-n", "kube-system", "-p", string(patch))
		kubectlLate(t, "rollout", "restart", "daemonset/calico-cni", "-n", "kube-system")
		kubectlLate(t, "rollout", "status", "daemonset/calico-cni", "-n", "kube-system", "--timeout=5m")
	}
	t.Cleanup(func() { set(before) })
	set(after)
}

// TestDualStack: a pod has an address of each family, and both are reachable from its node and from others.
func TestDualStack(t *testing.T) {
	need(t)
	reconfigure(t, `"assign_ipv6": "false"`, `"assign_ipv6": "true"`)
	apply(t, pod("a", "node-1", "")+pod("b", "node-2", "")+`---
apiVersion: v1
kind: Service
metadata: {name: dual}
spec:
  ipFamilyPolicy: RequireDualStack
  ipFamilies: [IPv6, IPv4]
  selector: {app: b}
  ports: [{port: 80}]
`)
	ready(t, "a", "b")
	a, b := addrs(t, "a"), addrs(t, "b")
	if len(a) != 2 || len(b) != 2 || netip.MustParseAddr(b[0]).Is6() || netip.MustParseAddr(b[1]).Is4() {
		t.Fatalf("pods have addresses %v and %v, want one of each family", a, b)
	}
	equal(t, "pod to pod by IPv4", ask(t, "a", "tcp", b[0]+":80"), "b "+a[0])
	equal(t, "pod to pod by IPv6", ask(t, "a", "tcp", "["+b[1]+"]:80"), "b "+a[1])
	equal(t, "node to pod by IPv6", askFrom(t, c.Nodes[2], "udp", "["+b[1]+"]:80"), "b 2001:db8::13")
	for _, service := range strings.Fields(kubectl(t, "get", "service", "dual", "-o",
		"jsonpath={.spec.clusterIPs[*]}")) {
		eventually(t, func() error {
			_, err := c.Kubectl(t.Context(), "", "exec", "a", "--", "/probe", "ask", "tcp",
				netip.AddrPortFrom(netip.MustParseAddr(service), 80).String())
			return err
		})
	}
	settle(t)
}

// TestNodeWithoutNodenameFileIsNotReady: if the configuration has version 1.1.0 or later, containerd calls STATUS, and
// a missing file keeps the node from being Ready. `install` restores the file, and the node becomes Ready.
func TestNodeWithoutNodenameFileIsNotReady(t *testing.T) {
	need(t)
	reconfigure(t, newest...)
	// Without the DaemonSet's pod nothing repairs the node.
	label := func(value string) {
		kubectlLate(t, "patch", "daemonset", "calico-cni", "-n", "kube-system", "--type=merge", "-p",
			`{"spec":{"template":{"spec":{"nodeSelector":{"away":`+value+`}}}}}`)
	}
	t.Cleanup(func() { label("null") })
	label(`"yes"`)
	kubectl(t, "wait", "--for=delete", "pod", "-n", "kube-system", "-l", "app.kubernetes.io/name=calico-cni",
		"--timeout=2m")
	_, err := c.Nodes[0].Run(t.Context(), "rm", "/var/lib/calico/nodename")
	do(t, err)
	kubectl(t, "wait", "--for=condition=Ready=false", "node/node-1", "--timeout=1m")
	message := kubectl(t, "get", "node", "node-1", "-o", `jsonpath={.status.conditions[?(@.type=="Ready")].message}`)
	if !strings.Contains(message, "node is not ready: /var/lib/calico/nodename does not exist") {
		t.Errorf("the node's message is %q, want that of the plugin", message)
	}
	label("null")
	kubectl(t, "wait", "--for=condition=Ready", "node/node-1", "--timeout=2m")
	apply(t, pod("a", "node-1", ""))
	ready(t, "a")
}

// TestNodeWithoutAddressesIsNotReady: if the configuration has version 1.1.0 or later, containerd calls STATUS, which
// fails while no address is available, so that the scheduler uses other nodes. When addresses are available again, the
// node becomes Ready, and the waiting pod starts.
func TestNodeWithoutAddressesIsNotReady(t *testing.T) {
	need(t)
	reconfigure(t, newest...)
	disable := func(disabled bool) {
		kubectlLate(t, "patch", "ippool", "pods4", "--type=merge", "-p",
			fmt.Sprintf(`{"spec":{"disabled":%v}}`, disabled))
	}
	t.Cleanup(func() { disable(false) })
	disable(true)
	apply(t, pod("waits", "node-1", ""))
	kubectl(t, "wait", "--for=condition=Ready=false", "node/node-1", "--timeout=1m")
	message := kubectl(t, "get", "node", "node-1", "-o", `jsonpath={.status.conditions[?(@.type=="Ready")].message}`)
	if !strings.Contains(message, "pods cannot be added on this node") {
		t.Errorf("the node's message is %q, want that of the plugin", message)
	}
	t.Log(message)
	disable(false)
	kubectl(t, "wait", "--for=condition=Ready", "node/node-1", "--timeout=2m")
	ready(t, "waits")
}

// newest replaces the version in the manifest's configuration by itself plus a later version for runtimes that support
// it.
var newest = []string{`"cniVersion": "1.0.0"`, `"cniVersion": "1.0.0", "cniVersions": ["1.0.0", "1.1.0"]`}

// TestRuntimeUsesNewestSupportedVersion of the versions in the configuration, with real plugins chained after ours. A
// pod that was added with the older version is deleted with the newer, and vice versa.
func TestRuntimeUsesNewestSupportedVersion(t *testing.T) {
	need(t)
	const ports = ", ports: [{containerPort: 80, hostPort: %d}]"
	version := func(name string) string {
		t.Helper()
		out, err := c.Nodes[0].Run(t.Context(), "sh", "-c",
			`grep -ho '"cniVersion":"[^"]*"' /var/lib/cni/results/k8s-pod-network-$0-eth0`, sandboxes(t, name))
		do(t, err)
		return strings.Split(out, "\n")[0]
	}
	apply(t, pod("older", "node-1", fmt.Sprintf(ports, 8086)))
	ready(t, "older")
	equal(t, "version of a pod from before", version("older"), `"cniVersion":"1.0.0"`)
	t.Run("newer", func(t *testing.T) {
		reconfigure(t, append(newest, portmap, portmap+bandwidth)...)
		apply(t, strings.Replace(pod("newer", "node-1", fmt.Sprintf(ports, 8087)), "metadata: {",
			"metadata: {annotations: {kubernetes.io/egress-bandwidth: 100M}, ", 1))
		ready(t, "newer")
		equal(t, "version of a pod", version("newer"), `"cniVersion":"1.1.0"`)
		for name, port := range map[string]string{"older": "8086", "newer": "8087"} {
			equal(t, "another node to hostPort", askFrom(t, c.Nodes[1], "tcp", "192.0.2.11:"+port), name+" 192.0.2.12")
		}
		kubectl(t, "delete", "pod", "older", "--timeout=1m")
		settle(t)
	})
	kubectl(t, "delete", "pod", "newer", "--timeout=1m")
	settle(t)
	none(t)
}

// The plugin portmap in the manifest's configuration, and a plugin that a user adds after it.
const (
	portmap = `"capabilities": {"portMappings": true}
    }`
	bandwidth = `, {"type": "bandwidth", "capabilities": {"bandwidth": true}}`
)

// TestBandwidthIsLimited: a pod with the bandwidth annotation gets a hundred megabits per second if the plugin
// bandwidth is configured. containerd allows a burst of 2^32-1 bits (537 MB) before that.
func TestBandwidthIsLimited(t *testing.T) {
	need(t)
	reconfigure(t, portmap, portmap+bandwidth)
	apply(t, strings.Replace(pod("slow", "node-1", ""), "metadata: {",
		`metadata: {annotations: {kubernetes.io/egress-bandwidth: 100M}, `, 1)+
		drain("sink", "node-2")+drain("fast", "node-3"))
	ready(t, "slow", "sink", "fast")
	seconds := func(from, to string) float64 {
		t.Helper()
		out := kubectl(t, "exec", from, "--", "/probe", "pour", addrs(t, to)[0]+":80", "600000000")
		s, err := strconv.ParseFloat(strings.TrimSpace(out), 64)
		do(t, err)
		return s
	}
	limited, free := seconds("slow", "sink"), seconds("fast", "sink")
	t.Logf("600 MB took %.2f s with the limit and %.2f s without", limited, free)
	// 63 MB at 12.5 MB/s.
	if limited < 4 {
		t.Errorf("600 MB took %.2f s, want 5 at least", limited)
	}
}

// drain is a manifest of a pod that discards its input.
func drain(name, node string) string {
	return strings.Replace(pod(name, node, ""), `args: [serve, "80"]`, `args: [drain, "80"]`, 1)
}
