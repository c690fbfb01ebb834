// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"calico-cni/test/node"
	"calico-cni/test/sandbox"
)

// secondSandbox is the same pod in a new sandbox, as the kubelet creates it when the first one has died.
func secondSandbox(t *testing.T, p *node.Pod) *node.Pod {
	t.Helper()
	path, err := sandbox.NewNetNS(p.Name + "-again")
	must(t, err)
	second := *p
	second.NetNS, second.ContainerID = path, p.ContainerID+"-again"
	t.Cleanup(func() {
		if a := del(t, &second, nil); a.Exit != 0 {
			t.Errorf("DEL of the second sandbox: %+v", a)
		}
		must(t, sandbox.RemoveNetNS(path))
	})
	return &second
}

func TestDEL7_DelOfOldSandboxKeepsNewOne(t *testing.T) {
	for _, ended := range []bool{false, true} {
		name := map[bool]string{false: "old namespace still there", true: "old namespace gone"}[ended]
		t.Run(name, func(t *testing.T) {
			old := newPod(t, "resandbox-"+map[bool]string{false: "a", true: "b"}[ended])
			add(t, old, nil)
			second := secondSandbox(t, old)
			got := addrs(t, add(t, second, nil))

			late := *old
			if ended {
				late.NetNS = "/run/netns/gone"
			}
			if a := del(t, &late, nil); a.Exit != 0 {
				t.Fatalf("DEL of the old sandbox: %+v", a)
			}
			for _, addr := range got {
				ping(t, "host to the new sandbox after the old one's DEL", nil, addr)
			}
			annotations, err := n.Annotations(t.Context(), second)
			must(t, err)
			if podIP := annotations["cni.projectcalico.org/podIP"]; podIP != got[0].String()+"/32" {
				t.Errorf("podIP is %q, want that of the new sandbox, %s", podIP, got[0])
			}
			if s := state(t); strings.Contains(s, "handle "+strings.ToLower(node.Network+"."+old.ContainerID)+"\n") ||
				!strings.Contains(s, second.ContainerID) {
				t.Errorf("handles:\n%s", s)
			}
		})
	}
}

func TestA11_RepeatedAddAllocatesNoSecondAddress(t *testing.T) {
	p := newPod(t, "twice")
	add(t, p, nil)
	expectRefusal(t, p, refusal{code: 4, says: []string{"eth0"}})
}

func TestFailedSecondSandboxReleasesOnlyItsAddresses(t *testing.T) {
	p := newPod(t, "second-fails")
	add(t, p, nil)
	second := secondSandbox(t, p)
	a := call(t, "ADD", second, map[string]any{"mtu": 1000}) // too small for IPv6
	if a.Exit == 0 {
		t.Fatal("the ADD succeeded; this test needs one that fails late")
	}
	if s := state(t); strings.Contains(s, second.ContainerID) || !strings.Contains(s, p.ContainerID) {
		t.Errorf("after the failed ADD:\n%s", s)
	}
}

func TestP4_ResultOfCalicoIPAM(t *testing.T) {
	p := newPod(t, "as-ipam")
	config, err := n.Config(nil)
	must(t, err)
	run := func(command string, env map[string]string) node.Answer {
		a, err := n.Run(t.Context(), node.Call{
			Plugin: "calico-ipam", Command: command, Pod: p, Config: config,
			Env: env,
		})
		must(t, err)
		return a
	}
	unchanged(t, "ADD and DEL of calico-ipam", func() {
		a := run("ADD", nil)
		if a.Exit != 0 {
			t.Fatalf("ADD: %+v", a)
		}
		var result struct {
			CNIVersion string
			Interfaces []any
			IPs        []struct {
				Address   string
				Interface *int
			}
			Routes []struct{ Dst string }
		}
		must(t, json.Unmarshal([]byte(a.Stdout), &result))
		if result.CNIVersion != "1.1.0" || result.Interfaces != nil || len(result.IPs) != 2 || len(result.Routes) != 2 {
			t.Fatalf("result: %s", a.Stdout)
		}
		for i, bits := range []string{"/26", "/122"} {
			ip := result.IPs[i]
			if !strings.HasSuffix(ip.Address, bits) || ip.Interface != nil || result.Routes[i].Dst != ip.Address {
				t.Errorf("address %+v with route %+v, want the block's prefix length %s, no interface, and a "+
					"route to it", ip, result.Routes[i], bits)
			}
		}
		for range 2 {
			if a := run("DEL", map[string]string{"CNI_NETNS": "-"}); a.Exit != 0 || a.Stdout != "" {
				t.Errorf("DEL: %+v", a)
			}
		}
		const asked = "10.244.200.77"
		a = run("ADD", map[string]string{"CNI_ARGS": p.Args() + ";IP=" + asked})
		if a.Exit != 0 || !strings.Contains(a.Stdout, `"`+asked+`/32"`) {
			t.Errorf("ADD of an address by name: %+v", a)
		}
		if a := run("DEL", nil); a.Exit != 0 {
			t.Errorf("DEL: %+v", a)
		}
	})
}

func TestCalicoIPAMByExecBehavesAsInProcess(t *testing.T) {
	byExec := map[string]any{"ipam.exec": true}
	asked := func(p *corev1.Pod) {
		p.Annotations = map[string]string{"cni.projectcalico.org/ipAddrs": `["10.244.201.5"]`}
	}
	p := newPod(t, "by-exec", asked)
	unchangedBut(t, "ADD and DEL", withoutPod(p.Name), func() {
		got := addrs(t, add(t, p, byExec))
		if len(got) != 1 || got[0].String() != "10.244.201.5" {
			t.Errorf("got %v, want the address of the annotation", got)
		}
		ping(t, "host to pod", nil, got[0])
		if a := del(t, p, byExec); a.Exit != 0 {
			t.Errorf("DEL: %+v", a)
		}
	})
}
