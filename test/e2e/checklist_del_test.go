// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"strings"
	"testing"

	"calico-cni/test/node"
	"calico-cni/test/sandbox"
)

// TestDEL1 removes each thing that a DEL might look up, and then all of them.
func TestDEL1_DelIgnoresMissingResources(t *testing.T) {
	missing := map[string]func(t *testing.T, p *node.Pod){
		"network namespace": func(t *testing.T, p *node.Pod) { must(t, sandbox.RemoveNetNS(p.NetNS)) },
		"interface":         func(t *testing.T, _ *node.Pod) { must(t, removeLink(hostIfName("default.del1"))) },
		"pod": func(t *testing.T, _ *node.Pod) {
			must(t, n.Server.Admin().DeletePod(t.Context(), "default", "del1"))
		},
		"handle": func(t *testing.T, p *node.Pod) {
			must(t, n.Datastore.Delete(t.Context(), "ipamhandles", node.Network+"."+p.ContainerID))
		},
	}
	all := func(t *testing.T, p *node.Pod) {
		for _, f := range []string{"interface", "network namespace", "pod"} {
			missing[f](t, p)
		}
	}
	for name, take := range missing {
		t.Run(name, func(t *testing.T) { delWithout(t, name, take) })
	}
	t.Run("everything on the node, and the pod", func(t *testing.T) { delWithout(t, "everything", all) })
}

func delWithout(t *testing.T, name string, take func(*testing.T, *node.Pod)) {
	p := newPodWithoutNetwork(t, "del1")
	// A deleted pod has no annotations, so the state before must not contain them either. An address without a handle
	// is found by GC, but not by DEL.
	look := func(s string) string { return withoutPod("del1")(withoutHolder("del1")(s)) }
	unchangedBut(t, "ADD and DEL", look, func() {
		add(t, p, nil)
		take(t, p)
		expectOK(t, "DEL", del(t, p, nil))
		expectOK(t, "second DEL", del(t, p, nil))
		if s := state(t); name != "handle" && strings.Contains(s, `"del1"`) {
			t.Errorf("addresses are still allocated:\n%s", s)
		}
	})
	if name == "handle" {
		expectOK(t, "GC", call(t, "GC", nil, valid(nil)))
	}
	if a := ask(t, "calico-ipam", "DEL", p, nil); a.Exit != 0 {
		t.Errorf("DEL of calico-ipam: %+v", a)
	}
	_ = n.Server.Admin().DeletePod(t.Context(), "default", "del1")
	_ = sandbox.RemoveNetNS(p.NetNS)
}

func TestDEL2_DEL8_RepeatedDelSucceedsSilently(t *testing.T) {
	p := newPod(t, "del2")
	for _, plugin := range both {
		named := map[string]any{"name": "del2-" + plugin}
		unchangedBut(t, plugin, withoutPod(p.Name), func() {
			attach(t, plugin, p, named)
			for range 3 {
				expectOK(t, plugin+" DEL", ask(t, plugin, "DEL", p, named))
			}
		})
	}
}

func TestDEL3_DelWithoutNamespacePath(t *testing.T) {
	p := newPod(t, "del3")
	for _, plugin := range both {
		for _, path := range []string{"-", "", "/run/netns/none"} {
			unchangedBut(t, plugin+" CNI_NETNS="+path, withoutPod(p.Name), func() {
				named := map[string]any{"name": "del3-" + plugin}
				attach(t, plugin, p, named)
				expectOK(t, plugin+" DEL", ask(t, plugin, "DEL", p, named, "CNI_NETNS", path))
			})
		}
	}
}

func TestDEL4_DelWithoutPreviousResult(t *testing.T) {
	p := newPod(t, "del4")
	for _, plugin := range both {
		for _, previous := range []any{nil, map[string]any{}, "x", map[string]any{"ips": []any{nil}}} {
			unchangedBut(t, plugin, withoutPod(p.Name), func() {
				named := map[string]any{"name": "del4-" + plugin}
				attach(t, plugin, p, named)
				expectOK(t, plugin+" DEL", ask(t, plugin, "DEL", p, plus(named, "prevResult", previous)))
			})
		}
	}
}

func TestDEL5_DelWithoutAddSucceeds(t *testing.T) {
	p := newPod(t, "del5")
	for _, plugin := range both {
		unchanged(t, plugin+" DEL", func() { expectOK(t, plugin+" DEL without ADD", ask(t, plugin, "DEL", p, nil)) })
		expectError(t, plugin, ask(t, plugin, "ADD", p, map[string]any{"ipam.ipv6_pools": []string{"no-such-pool"}}),
			102)
		unchanged(t, plugin+" DEL", func() {
			expectOK(t, plugin+" DEL after an ADD that failed", ask(t, plugin, "DEL", p, nil))
		})
	}
}

func TestDEL6_DelegateErrorIsReportedAfterCleanup(t *testing.T) {
	p := newPod(t, "del6")
	log := script(t, n.BinDir(), "refusing-ipam", `case "$CNI_COMMAND" in
ADD) echo '{"cniVersion":"1.1.0","ips":[{"address":"10.78.0.9/24"}]}';;
DEL) echo '{"code":121,"msg":"release refused"}'; exit 1;;
esac`)
	changes := map[string]any{"ipam": map[string]any{"type": "refusing-ipam"}}
	unchangedBut(t, "ADD and DEL", withoutPod(p.Name), func() {
		add(t, p, changes)
		expectError(t, "DEL", del(t, p, changes), 121, "refusing-ipam", "release refused")
		expectPodIP(t, p, "")
	})
	if got := read(log); !strings.Contains(got, "ADD") || !strings.Contains(got, "DEL") {
		t.Errorf("the IPAM plugin got:\n%s", got)
	}
}
