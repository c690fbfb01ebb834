// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containernetworking/cni/libcni"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"calico-cni/internal/nettest"
	"calico-cni/test/node"
	"calico-cni/test/sandbox"
)

// container creates a network namespace without a pod object, as podman, nerdctl and cnitool do.
func container(t *testing.T, name string) *node.Pod {
	t.Helper()
	installed(t)
	path, err := sandbox.NewNetNS(name)
	must(t, err)
	p := &node.Pod{Name: name, ContainerID: name + "-0123456789abcdef", NetNS: path}
	t.Cleanup(func() {
		dropQueued(t, p.ContainerID)
		must(t, sandbox.RemoveNetNS(path))
	})
	return p
}

func TestHostLocalOutsideKubernetesNeedsNoAPIServer(t *testing.T) {
	withTools(t, "host-local")
	p := container(t, "no-pod")
	leases := t.TempDir()
	local := map[string]any{
		"kubernetes": nil, "policy": nil,
		"ipam": map[string]any{
			"type": "host-local", "dataDir": leases,
			"ranges": []any{[]any{map[string]any{"subnet": "10.77.0.0/24"}}},
		},
	}
	unchanged(t, "ADD and DEL", func() {
		r := add(t, p, local, "CNI_ARGS", "-")
		if got := addrs(t, r); len(got) != 1 || !strings.HasPrefix(got[0].String(), "10.77.0.") ||
			r.Interfaces[0].Name != "calino-pod-0123" || held(t, leases) != 1 {
			t.Errorf("addresses %v, interfaces %+v, %d leases", got, r.Interfaces, held(t, leases))
		}
		ping(t, "host to container", nil, addrs(t, r)[0])
		if a := call(t, "ADD", p, local, "CNI_ARGS", "-"); a.Error.Code != 4 || held(t, leases) != 1 {
			t.Errorf("another ADD: %+v, %d leases", a, held(t, leases))
		}
		for range 2 {
			if a := call(t, "DEL", p, local, "CNI_ARGS", "-"); a.Exit != 0 || held(t, leases) != 0 {
				t.Errorf("DEL: %+v, %d leases", a, held(t, leases))
			}
		}
	})
}

// held counts the leases of host-local in a directory.
func held(t *testing.T, dir string) (count int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	must(t, err)
	for _, f := range files {
		if _, err := netip.ParseAddr(filepath.Base(f)); err == nil {
			count++
		}
	}
	return count
}

func TestContainerOutsideKubernetes(t *testing.T) {
	p := container(t, "by-cnitool")
	config, err := n.Config(nil)
	must(t, err)
	data, err := json.Marshal(map[string]any{"cniVersion": "1.1.0", "name": "tool-net", "plugins": []any{config}})
	must(t, err)
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "1.conflist"), data, 0o600))
	cnitool := func(verb string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), filepath.Join(n.Tools, "cnitool"), verb, "tool-net", p.NetNS)
		cmd.Env = []string{"CNI_PATH=" + n.BinDir(), "NETCONFPATH=" + dir, "PATH=" + os.Getenv("PATH")}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("cnitool %s: %v\n%s", verb, err, out)
		}
	}
	before := state(t)
	cnitool("status")
	cnitool("add")
	cnitool("check")
	lines := map[string]bool{}
	for line := range strings.SplitSeq(before, "\n") {
		lines[line] = true
	}
	seen := map[string]int{}
	for line := range strings.SplitSeq(state(t), "\n") {
		if !lines[line] {
			kind, rest, _ := strings.Cut(line, " ")
			seen[kind]++
			if kind == "handle" && !strings.HasPrefix(rest, "tool-net.cnitool-") || kind == "link" &&
				!strings.HasPrefix(rest, "calicnitool-") {
				t.Errorf("not keyed by the container's ID: %s", line)
			}
		}
	}
	if diff := cmp.Diff(map[string]int{"link": 1, "route": 2, "handle": 1, "block": 2}, seen); diff != "" {
		t.Errorf("state of the container (-want +got):\n%s", diff)
	}
	cnitool("del")
	if diff := cmp.Diff(before, state(t)); diff != "" {
		t.Errorf("left behind (-before +after):\n%s", diff)
	}
}

func TestStaticIPAM(t *testing.T) {
	withTools(t, "static")
	p := newPod(t, "static-ipam")
	changes := map[string]any{"ipam": map[string]any{
		"type": "static", "addresses": []map[string]any{
			{"address": "10.88.0.5/24", "gateway": "10.88.0.1"},
			{"address": "fd88::5/64"},
		},
		"routes": []map[string]any{{"dst": "10.1.0.0/16"}},
		"dns":    map[string]any{"nameservers": []string{"10.96.0.10"}},
	}}
	unchangedBut(t, "ADD and DEL", withoutPod(p.Name), func() {
		r := attachList(t, p, changes)
		if got := fmt.Sprint(r.IPs[0].Address.String(), r.IPs[1].Address.String(), r.IPs[0].Gateway,
			r.DNS.Nameservers); got != "10.88.0.5/32fd88::5/128<nil> [10.96.0.10]" {
			t.Errorf("result: %s", got)
		}
		if routes := viaGateway(t, p); routes != "route default; route6 default" {
			t.Errorf("routes of the pod: %s", routes)
		}
		for _, addr := range addrs(t, r) {
			ping(t, "host to pod", nil, addr)
		}
		must(t, runtime(t).DelNetworkList(t.Context(), list(t, changes), runtimeConf(p, nil)))
	})
}

func TestCalicoIPAMByExecSupportsEveryVerb(t *testing.T) {
	p := newPod(t, "exec-verbs")
	byExec := map[string]any{"ipam.exec": true}
	unchangedBut(t, "ADD and DEL", withoutPod(p.Name), func() {
		attachList(t, p, byExec)
		must(t, runtime(t).GetStatusNetworkList(t.Context(), list(t, byExec)))
		must(t, runtime(t).DelNetworkList(t.Context(), list(t, byExec), runtimeConf(p, nil)))
	})
}

// attachList adds a pod through the runtime's library and checks it immediately.
func attachList(t *testing.T, p *node.Pod, changes map[string]any) *current.Result {
	t.Helper()
	network, cni := list(t, changes), runtime(t)
	r, err := cni.AddNetworkList(t.Context(), network, runtimeConf(p, nil))
	must(t, err)
	if err := cni.CheckNetworkList(t.Context(), network, runtimeConf(p, nil)); err != nil {
		t.Errorf("CHECK right after ADD: %v", err)
	}
	result, err := current.NewResultFromResult(r)
	must(t, err)
	return result
}

// viaGateway returns the destinations that a pod reaches through a gateway.
func viaGateway(t *testing.T, p *node.Pod) string {
	t.Helper()
	var out []string
	for line := range strings.Lines(nettest.Open(t, p.NetNS).Dump()) {
		if route, _, ok := strings.Cut(strings.TrimSpace(line), " via "); ok {
			out = append(out, route)
		}
	}
	return strings.Join(out, "; ")
}

// TestCalicoIPAMUnderOtherMainPlugins allocates addresses to two containers from block IPAM under another main plugin.
// The blocks have four IPv4 addresses: the two between the network and the broadcast address are for containers.
func TestCalicoIPAMUnderOtherMainPlugins(t *testing.T) {
	withTools(t, "bridge", "macvlan", "ptp")
	for _, c := range []struct {
		name   string
		plugin map[string]any
	}{
		{"bridge", map[string]any{"type": "bridge", "bridge": "br-e2e"}},
		{"macvlan", map[string]any{"type": "macvlan", "master": "mv-e2e", "mode": "bridge"}},
		{"ptp", map[string]any{"type": "ptp"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			wires := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "mv-e2e"}, PeerName: "mv-e2e-peer"}
			must(t, netlink.LinkAdd(wires))
			t.Cleanup(func() { must(t, netlink.LinkDel(wires)) })
			peer, err := netlink.LinkByName("mv-e2e-peer")
			must(t, err)
			must(t, netlink.LinkSetUp(wires))
			must(t, netlink.LinkSetUp(peer))
			pool(t, "under-"+c.name, "10.71.0.0/29", func(spec map[string]any) { spec["blockSize"] = 30 })
			one, two := container(t, "under-"+c.name+"-1"), container(t, "under-"+c.name+"-2")
			unchangedBut(t, "ADD and DEL", withoutBridge, func() { checkConnectivityUnder(t, c.plugin, one, two) })
			if bridge, err := netlink.LinkByName("br-e2e"); err == nil {
				must(t, netlink.LinkDel(bridge))
			}
		})
	}
}

// withoutBridge removes the bridge, which its plugin leaves behind, and its route from a state.
func withoutBridge(state string) string {
	return strings.NewReplacer("link br-e2e\n", "", "route fe80::/64\n", "").Replace(state)
}

// checkConnectivityUnder attaches two containers with another main plugin, and checks that the first reaches the
// second.
func checkConnectivityUnder(t *testing.T, plugin map[string]any, pods ...*node.Pod) {
	config, err := n.Config(map[string]any{"ipam.ipv4_pools": []string{"under-" + plugin["type"].(string)}})
	must(t, err)
	maps.Copy(config, plugin)
	delete(config, "mtu")
	network, cni := networkOf(t, config), runtime(t)
	var got []netip.Addr
	var confs []*libcni.RuntimeConf
	for _, p := range pods {
		conf := &libcni.RuntimeConf{ContainerID: p.ContainerID, NetNS: p.NetNS, IfName: "eth0"}
		confs = append(confs, conf)
		r, err := cni.AddNetworkList(t.Context(), network, conf)
		must(t, err)
		must(t, cni.CheckNetworkList(t.Context(), network, conf))
		result, err := current.NewResultFromResult(r)
		must(t, err)
		got = append(got, addrs(t, result)...)
	}
	if len(got) != 4 || slices.Compact(slices.Sorted(slices.Values(texts(got))))[3] == "" {
		t.Errorf("addresses %v, want four that differ", got)
	}
	if got4 := []string{got[0].String(), got[2].String()}; !slices.Equal(got4, []string{"10.71.0.1", "10.71.0.2"}) &&
		!slices.Equal(got4, []string{"10.71.0.5", "10.71.0.6"}) {
		t.Errorf("IPv4 addresses %v, want two that are neither network nor broadcast addresses", got4)
	}
	eventuallyReaches(t, pods[0], got[2])
	for _, conf := range confs {
		must(t, cni.DelNetworkList(t.Context(), network, conf))
	}
}

// eventuallyReaches fails unless one of five packets is answered. Other main plugins return before the link is ready,
// so that the first packet may be lost. With calico the first one must arrive.
func eventuallyReaches(t *testing.T, from *node.Pod, to netip.Addr) {
	t.Helper()
	cmd := exec.Command("nsenter", "--net="+from.NetNS, "ping", "-n", "-c", "5", "-i", "0.5", "-W", "5", to.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("ping %s: %v\n%s", to, err, out)
	}
}

func texts(all []netip.Addr) (out []string) {
	for _, addr := range all {
		out = append(out, addr.String())
	}
	return out
}

// TestFailingIPAMPluginIsNamedAndGetsDel uses an unknown IPAM plugin that fails in different ways.
func TestFailingIPAMPluginIsNamedAndGetsDel(t *testing.T) {
	p := newPod(t, "ipam-fails")
	for _, c := range []struct {
		name, answer string
		exit         int
		code         uint
		says         []string
	}{
		{"an error", `{"cniVersion":"1.1.0","code":77,"msg":"no address left"}`, 1, 77, []string{"no address left"}},
		{"no address", `{"cniVersion":"1.1.0","ips":[]}`, 0, 100, []string{"no address"}},
		{"a null", `{"cniVersion":"1.1.0","ips":[{"address":"10.78.0.9/24"},null]}`, 0, 100, []string{"ips[1]"}},
		{
			"an empty route", `{"cniVersion":"1.1.0","ips":[{"address":"10.78.0.9/24"}],"routes":[{}]}`, 0, 100,
			[]string{"routes[0]"},
		},
		{"invalid JSON", `not JSON`, 0, 100, nil},
		{"no output", ``, 1, 100, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			verbs := filepath.Join(t.TempDir(), "verbs")
			script := fmt.Sprintf("#!/bin/sh\ncat >/dev/null\necho $CNI_COMMAND >>%s\n[ $CNI_COMMAND = DEL ] && "+
				"exit 0\necho '%s'\nexit %d\n", verbs, c.answer, c.exit)
			must(t, os.WriteFile(filepath.Join(n.BinDir(), "broken-ipam"), []byte(script), 0o755))
			expectRefusal(t, p, refusal{
				changes: map[string]any{"ipam": map[string]any{"type": "broken-ipam"}}, code: c.code,
				says: append(c.says, "IPAM plugin broken-ipam"),
			})
			if called, err := os.ReadFile(verbs); err != nil || string(called) != "ADD\nDEL\n" {
				t.Errorf("it was called for %q, %v; want ADD and then DEL", called, err)
			}
		})
	}
	must(t, os.Remove(filepath.Join(n.BinDir(), "broken-ipam")))
	expectRefusal(t, p, refusal{
		changes: map[string]any{"ipam": map[string]any{"type": "broken-ipam"}}, code: 100,
		says: []string{"IPAM plugin broken-ipam", "broken-ipam"},
	})
}

func TestIPAMPluginsIgnoreKubernetesArguments(t *testing.T) {
	withTools(t, "host-local")
	p := newPod(t, "foreign-args")
	local := map[string]any{"ipam": map[string]any{
		"type": "host-local", "dataDir": t.TempDir(),
		"subnet": "10.78.0.0/24",
	}}
	strict := []string{"CNI_ARGS", "K8S_POD_NAMESPACE=default;K8S_POD_NAME=" + p.Name}
	wantAddrs(t, addrs(t, add(t, p, local, strict...)), "10.78.0.")
	if a := call(t, "DEL", p, local, strict...); a.Exit != 0 {
		t.Errorf("DEL: %+v", a)
	}
}
