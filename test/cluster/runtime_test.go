// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/version"

	"calico-cni/test/machine"
)

// Directories of a node for its network configuration and plugins.
const (
	conflistFile = "/etc/cni/net.d/10-calico.conflist"
	pluginDir    = "/opt/cni/bin"
)

// onNode makes the library of container runtimes run plugins on a node.
type onNode struct {
	node *machine.Machine
	*version.PluginDecoder
}

// ExecPlugin runs a plugin on the node.
func (o onNode) ExecPlugin(ctx context.Context, plugin string, stdin []byte, environ []string) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	cmd := o.node.Command(ctx, plugin)
	cmd.Env = append(cmd.Env, environ...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		var answer types.Error
		if json.Unmarshal(stdout.Bytes(), &answer) == nil && answer.Msg != "" {
			return nil, &answer
		}
		return nil, fmt.Errorf("%w: %s%s", err, stdout.String(), stderr.String())
	}
	return stdout.Bytes(), nil
}

// FindInPath returns the path of the plugin on the node.
func (o onNode) FindInPath(plugin string, _ []string) (string, error) {
	return pluginDir + "/" + plugin, nil
}

// cri simulates a container runtime such as CRI-O on a node, which uses only the library, with its own cache.
func cri(t *testing.T, node *machine.Machine) *libcni.CNIConfig {
	t.Helper()
	return libcni.NewCNIConfigWithCacheDir([]string{pluginDir}, t.TempDir(), onNode{node: node})
}

// network returns the node's network configuration, after replacements in its text.
func network(t *testing.T, node *machine.Machine, replace ...string) *libcni.NetworkConfigList {
	t.Helper()
	text, err := node.Run(t.Context(), "cat", conflistFile)
	do(t, err)
	after := strings.NewReplacer(replace...).Replace(text)
	if len(replace) > 0 && after == text {
		t.Fatalf("nothing to replace in\n%s", text)
	}
	list, err := libcni.NetworkConfFromBytes([]byte(after))
	do(t, err)
	return list
}

// namespace creates a network namespace on a node, as runtimes do before they call plugins, and returns its path there.
func namespace(t *testing.T, node *machine.Machine, name string) string {
	t.Helper()
	_, err := node.Run(t.Context(), "sh", "-c", "ip netns add $0 && ip -n $0 link set lo up", name)
	do(t, err)
	t.Cleanup(func() {
		if _, err := node.Run(context.Background(), "ip", "netns", "del", name); err != nil {
			t.Error(err)
		}
	})
	return "/run/netns/" + name
}

// unscheduled is a manifest of a pod without scheduler, for a test that simulates its runtime.
func unscheduled(name string) string {
	return strings.NewReplacer("nodeName: ", "schedulerName: none-", "metadata: {",
		"metadata: {annotations: {kubernetes.io/egress-bandwidth: 100M}, ").
		Replace(pod(name, "s", ""))
}

// sandboxConf returns the runtime configuration of a pod's sandbox, with a host port and a bandwidth limit.
func sandboxConf(name, ns string) *libcni.RuntimeConf {
	return &libcni.RuntimeConf{
		ContainerID: "cri-" + name, NetNS: ns, IfName: "eth0",
		Args: [][2]string{
			{"IgnoreUnknown", "1"},
			{"K8S_POD_NAMESPACE", "default"},
			{"K8S_POD_NAME", name},
			{"K8S_POD_INFRA_CONTAINER_ID", "cri-" + name},
		},
		CapabilityArgs: map[string]any{
			"portMappings": []map[string]any{{"hostPort": 8099, "containerPort": 80, "protocol": "tcp"}},
			"bandwidth":    map[string]any{"egressRate": 100_000_000, "egressBurst": 10_000_000},
		},
	}
}

// TestRuntimeThatChecksAtOnce uses the order of CRI-O: STATUS, ADD, immediately CHECK with the cached result, and DEL,
// possibly twice. It uses the node's configuration, alone and with more chained plugins.
func TestRuntimeThatChecksAtOnce(t *testing.T) {
	need(t)
	node := c.Nodes[0]
	const more = portmap + bandwidth + `, {"type": "tuning", "sysctl": {"net.core.somaxconn": "500"}}`
	for name, list := range map[string]*libcni.NetworkConfigList{
		"as-it-is":    network(t, node),
		"more-behind": network(t, node, portmap, more),
		"version-1-1": network(t, node, `"1.0.0"`, `"1.1.0"`, portmap, more),
	} {
		t.Run(name, func(t *testing.T) {
			apply(t, unscheduled(name))
			runtime, conf := cri(t, node), sandboxConf(name, namespace(t, node, name))
			do(t, runtime.GetStatusNetworkList(t.Context(), list))
			result, err := runtime.AddNetworkList(t.Context(), list, conf)
			do(t, err)
			do(t, runtime.CheckNetworkList(t.Context(), list, conf))
			got, err := current.NewResultFromResult(result)
			do(t, err)
			addr := got.IPs[0].Address.IP.String()
			serveIn(t, node, name)
			for _, address := range []string{addr + ":80", "192.0.2.11:8099"} {
				// The block may be new, and its route not yet set.
				eventually(t, func() error {
					out, err := c.Nodes[1].Run(t.Context(), probe(), "ask", "tcp", address)
					if want := "node-1 192.0.2.12\n"; err == nil && out != want {
						return fmt.Errorf("another node to %s: got %q, want %q", address, out, want)
					}
					return err
				})
			}
			do(t, runtime.CheckNetworkList(t.Context(), list, conf))
			_, err = node.Run(t.Context(), "ip", "route", "del", addr)
			do(t, err)
			if err := runtime.CheckNetworkList(t.Context(), list, conf); err == nil ||
				!strings.Contains(err.Error(), addr) {
				t.Errorf("CHECK without the route to the pod: got %v, want a missing route to %s", err, addr)
			}
			do(t, runtime.DelNetworkList(t.Context(), list, conf))
			do(t, runtime.DelNetworkList(t.Context(), list, conf))
			kubectl(t, "delete", "pod", name)
			settle(t)
			none(t)
		})
	}
}

// serveIn runs the probe as a server in a network namespace of a node until the test ends.
func serveIn(t *testing.T, node *machine.Machine, ns string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	server := node.Command(ctx, "ip", "netns", "exec", ns, probe(), "serve", "80")
	do(t, server.Start())
	t.Cleanup(func() { cancel(); _ = server.Wait() })
	eventually(t, func() error {
		_, err := node.Run(t.Context(), "ip", "netns", "exec", ns, probe(), "ask", "tcp", "127.0.0.1:80")
		return err
	})
}

// TestRuntimeGCKeepsLivePods: GC removes only unlisted attachments, on a node whose pods belong to containerd.
func TestRuntimeGCKeepsLivePods(t *testing.T) {
	need(t)
	node := c.Nodes[0]
	apply(t, pod("lives", "node-1", "")+unscheduled("forgotten"))
	ready(t, "lives")
	list := network(t, node, `"1.0.0"`, `"1.1.0"`)
	_, err := cri(t, node).AddNetworkList(t.Context(), list, sandboxConf("forgotten", namespace(t, node, "forgotten")))
	do(t, err)
	collect(t, node, list)
	settle(t)
	equal(t, "another node to the pod", askFrom(t, c.Nodes[1], "tcp", addrs(t, "lives")[0]+":80"), "lives 192.0.2.12")
	kubectl(t, "delete", "pod", "forgotten")
}

// collect calls GC like a runtime that knows the sandboxes of the pods in the API and has an empty cache.
func collect(t *testing.T, node *machine.Machine, list *libcni.NetworkConfigList) {
	t.Helper()
	args := &libcni.GCArgs{ValidAttachments: []types.GCAttachment{}}
	for _, name := range strings.Fields(kubectl(t, "get", "pods", "--field-selector=spec.nodeName="+node.Spec.Name,
		"-o", "jsonpath={.items[*].metadata.name}")) {
		args.ValidAttachments = append(args.ValidAttachments, types.GCAttachment{
			ContainerID: sandboxes(t, name),
			IfName:      "eth0",
		})
	}
	do(t, cri(t, node).GCNetworkList(t.Context(), list, args))
}

// TestCNITool runs every verb of the node's configuration with cnitool. Its gc passes no list of valid attachments: it
// calls DEL for everything in the cache of the network, and the plugin rejects the rest. Therefore the network has a
// separate name, so that containerd's pods are not affected.
func TestCNITool(t *testing.T) {
	need(t)
	node := c.Nodes[0]
	apply(t, pod("lives", "node-1", ""))
	ready(t, "lives")
	ns := namespace(t, node, "tool")
	_, err := node.Run(t.Context(), "sh", "-c",
		`mkdir -p /run/tool && sed 's/"k8s-pod-network"/"tool"/; `+
			`s/"1\.0\.0"/"1.1.0"/' `+conflistFile+` > /run/tool/10.conflist`)
	do(t, err)
	tool := func(verb string) (string, error) {
		return node.Run(t.Context(), "env", "CNI_PATH="+pluginDir, "NETCONFPATH=/run/tool", cnitool(), verb, "tool", ns)
	}
	for _, verb := range []string{"status", "add", "check", "del", "add", "check"} {
		out, err := tool(verb)
		do(t, err)
		if verb == "add" && !strings.Contains(out, `"10.244.`) {
			t.Errorf("add: got %s, want an address", out)
		}
	}
	if out, err := tool("gc"); err == nil || !strings.Contains(out, "GC without cni.dev/valid-attachments") {
		t.Errorf("gc: got %s, %v, want an error about the missing list of valid attachments", out, err)
	}
	settle(t)
	equal(t, "another node to the pod", askFrom(t, c.Nodes[1], "tcp", addrs(t, "lives")[0]+":80"), "lives 192.0.2.12")
}

// cnitool is the path of the tool on every node.
func cnitool() string {
	for dir := range strings.SplitSeq(c.options.Parts.Path, ":") {
		if path, err := exec.LookPath(dir + "/cnitool"); err == nil {
			return path
		}
	}
	return "cnitool"
}
