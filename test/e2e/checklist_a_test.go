// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"calico-cni/internal/nettest"
	"calico-cni/test/node"
	"calico-cni/test/proxy"
)

func TestA1_InterfaceHasRequestedNameAndNamespace(t *testing.T) {
	p := newPod(t, "a1")
	attach(t, "calico", p, map[string]any{"name": "a1"}, "CNI_IFNAME", "a-b_c.15-bytes")
	if dump := nettest.Open(t, p.NetNS).Dump(); !strings.Contains(dump, "a-b_c.15-bytes") ||
		strings.Contains(dump, "eth0") {
		t.Errorf("the pod has:\n%s", dump)
	}
}

// TestA3_A5_A6_A7_A8 checks a result in the newest version. The rows R check the conversion to older ones.
func TestA3_A5_A6_A7_A8_ResultDescribesAttachment(t *testing.T) {
	p := newPod(t, "a5")
	dns := map[string]any{
		"nameservers": []any{"192.0.2.53"}, "domain": "a.example", "search": []any{"b.example"},
		"options": []any{"ndots:2"},
	}
	r := map[string]any{}
	must(t, json.Unmarshal([]byte(attach(t, "calico", p, map[string]any{"dns": dns, "name": "a5"}).Stdout), &r))
	pod := r["interfaces"].([]any)[1].(map[string]any)
	if dump := nettest.Open(t, p.NetNS).Dump(); !strings.Contains(dump, pod["mac"].(string)) {
		t.Errorf("MAC %s is not in the pod:\n%s", pod["mac"], dump)
	}
	addrs := resultOf(t, node.Answer{Stdout: mustJSON(t, r)}).IPs
	want := map[string]any{
		"cniVersion": "1.1.0",
		"interfaces": []any{
			map[string]any{"name": hostIfName("default.a5")},
			map[string]any{"name": "eth0", "mac": pod["mac"], "mtu": 1450.0, "sandbox": p.NetNS},
		},
		"ips": []any{
			map[string]any{"address": addrs[0].Address.IP.String() + "/32", "interface": 1.0},
			map[string]any{"address": addrs[1].Address.IP.String() + "/128", "interface": 1.0},
		},
		"routes": []any{
			map[string]any{"dst": masked(addrs[0].Address.IP.String(), 26)},
			map[string]any{"dst": masked(addrs[1].Address.IP.String(), 122)},
		},
		"dns": dns,
	}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
}

func TestA9_FailedIPAMPluginGetsDel(t *testing.T) {
	p := newPod(t, "a9")
	log := script(t, n.BinDir(), "failing-ipam",
		`[ "$CNI_COMMAND" != ADD ] || { echo '{"code":120,"msg":"no address left"}'; exit 1; }`)
	broken := map[string]any{"ipam": map[string]any{"type": "failing-ipam"}}
	unchanged(t, "ADD", func() {
		expectError(t, "ADD", call(t, "ADD", p, broken), 120, "failing-ipam", "no address left")
	})
	var commands []string
	for line := range strings.Lines(read(log)) {
		commands = append(commands, strings.Fields(line)[0])
	}
	if !slices.Equal(commands, []string{"ADD", "DEL"}) {
		t.Errorf("the IPAM plugin got %v, want ADD and DEL", commands)
	}
}

// TestA10 lets an ADD fail at each kind of write, without a DEL after it.
func TestA10_FailureAfterFirstWriteLeavesNothing(t *testing.T) {
	through := proxy.Start(t, n.Kubeconfig())
	changes := map[string]any{"kubernetes.kubeconfig": through.Kubeconfig(t, n.Kubeconfig())}
	p := newPod(t, "a10")
	add(t, newPod(t, "a10-warm"), nil)
	for plugin, writes := range map[string][]string{
		"calico":      {"PATCH /pods/a10/status", "PUT /ipamblocks/", "POST /ipamhandles"},
		"calico-ipam": {"PUT /ipamblocks/", "POST /ipamhandles"},
	} {
		for _, write := range writes {
			method, path, _ := strings.Cut(write, " ")
			through.Arm(&proxy.Fault{Status: http.StatusForbidden, Matches: func(m, p string) bool {
				return m == method && strings.Contains(p, path)
			}})
			unchanged(t, plugin+" "+write, func() { expectError(t, write, ask(t, plugin, "ADD", p, changes), 101) })
			if !through.Fired() {
				t.Errorf("%s did not reach %s", plugin, write)
			}
		}
	}
}

func TestA11_RepeatedAddOfCalicoIPAMReturnsSameAddresses(t *testing.T) {
	p := newPod(t, "a11")
	named := map[string]any{"name": "a11"}
	first := attach(t, "calico-ipam", p, named)
	// The second ADD becomes the owner of the addresses.
	timestamp := regexp.MustCompile(`"timestamp":"[^"]*"`)
	look := func(s string) string { return timestamp.ReplaceAllString(s, "") }
	unchangedBut(t, "second ADD", look, func() {
		if second := ask(t, "calico-ipam", "ADD", p, named); second.Exit != 0 || second.Stdout != first.Stdout {
			t.Errorf("second ADD: %s, want %s", second.Stdout, first.Stdout)
		}
	})
}

// TestA12 gives a container two interfaces and removes them in either order. The remaining one must be complete.
func TestA12_TwoInterfacesAreReleasedSeparately(t *testing.T) {
	for _, plugin := range both {
		for i, order := range [][]string{{"eth0", "net1"}, {"net1", "eth0"}} {
			t.Run(plugin+" "+order[0]+" first", func(t *testing.T) {
				p := newPod(t, fmt.Sprintf("a12-%s-%d", plugin, i))
				of := map[string]node.Answer{}
				for _, ifName := range []string{"eth0", "net1"} {
					of[ifName] = attach(t, plugin, p, nil, "CNI_IFNAME", ifName)
				}
				whole := func(what string, names ...string) {
					for _, ifName := range names {
						expectOK(t, "CHECK of "+ifName+" "+what,
							check(t, plugin, p, nil, of[ifName], "CNI_IFNAME", ifName))
						for _, addr := range addrs(t, resultOf(t, of[ifName])) {
							if plugin == "calico" {
								ping(t, ifName+" "+what, nil, addr)
							}
						}
					}
				}
				whole("after both ADDs", "eth0", "net1")
				gone, stays := order[0], order[1]
				expectOK(t, "DEL of "+gone, ask(t, plugin, "DEL", p, nil, "CNI_IFNAME", gone))
				whole("after the DEL of "+gone, stays)
				s := state(t)
				for _, addr := range addrs(t, resultOf(t, of[gone])) {
					if strings.Contains(s, "route "+addr.String()+"/") {
						t.Errorf("%s of %s still has a route:\n%s", addr, gone, s)
					}
				}
				expectError(t, "CHECK of the deleted interface", check(t, plugin, p, nil, of[gone], "CNI_IFNAME", gone), 103)
				if plugin == "calico" {
					expectPodIP(t, p, map[string]string{"eth0": addrs(t, resultOf(t, of["eth0"]))[0].String() +
						"/32"}[stays])
				}
				expectOK(t, "DEL of "+stays, ask(t, plugin, "DEL", p, nil, "CNI_IFNAME", stays))
				if s := state(t); strings.Contains(s, handleOf(node.Network, p)) {
					t.Errorf("left behind:\n%s", s)
				}
			})
		}
	}
}

// expectPodIP checks the address in the pod's annotations.
func expectPodIP(t *testing.T, p *node.Pod, want string) {
	t.Helper()
	annotations, err := n.Annotations(t.Context(), p)
	must(t, err)
	if got := annotations["cni.projectcalico.org/podIP"]; got != want {
		t.Errorf("podIP is %q, want %q", got, want)
	}
}

func TestA13_CapabilitiesTakePrecedenceOverArguments(t *testing.T) {
	p := newPod(t, "a13")
	const capability, convention, argument = "10.244.210.1", "10.244.210.2", "10.244.210.3"
	env := []string{"CNI_ARGS", p.Args() + ";IP=" + argument}
	args := map[string]any{"cni": map[string]any{"ips": []any{convention}}}
	unknown := map[string]any{
		"portMappings": []any{map[string]any{"hostPort": 8080}},
		"ipRanges":     []any{[]any{map[string]any{"subnet": "10.1.2.0/24"}}},
		"bandwidth":    map[string]any{"ingressRate": 2048}, "deviceID": "0000:04:00.5", "aliases": []any{"a"},
		"cgroupPath": "/x",
		"dns":        map[string]any{"servers": []any{"192.0.2.53"}},
	}
	for _, plugin := range both {
		for want, changes := range map[string]map[string]any{
			argument:   {"runtimeConfig": unknown},
			convention: {"runtimeConfig": unknown, "args": args},
			capability: {"runtimeConfig": plus(unknown, "ips", []any{capability + "/24"}), "args": args},
		} {
			changes["name"] = "a13-" + plugin
			a := attach(t, plugin, p, changes, env...)
			if got := addrs(t, resultOf(t, a)); len(got) != 1 || got[0].String() != want {
				t.Errorf("%s: addresses %v, want %s", plugin, got, want)
			}
			expectOK(t, "DEL", ask(t, plugin, "DEL", p, changes, env...))
		}
	}
	mac := map[string]any{"runtimeConfig": map[string]any{"mac": "0a:11:22:33:44:66"}, "name": "a13"}
	if r := resultOf(t, attach(t, "calico", p, mac)); r.Interfaces[1].Mac != "0a:11:22:33:44:66" {
		t.Errorf("MAC %s", r.Interfaces[1].Mac)
	}
}
