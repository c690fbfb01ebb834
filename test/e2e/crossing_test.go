// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	"calico-cni/test/node"
	"calico-cni/test/proxy"
)

// A command must not affect other attachments. Each test runs two commands that overlap.

// stillHolds checks that an attachment has everything that its ADD created.
func stillHolds(t *testing.T, plugin string, p *node.Pod, changes map[string]any, added node.Answer, env ...string) {
	t.Helper()
	a := ask(t, plugin, "CHECK", p, plus(changes, "prevResult", resultOf(t, added)), env...)
	expectOK(t, plugin+" CHECK of "+p.ContainerID, a)
}

func TestGCKeepsAttachmentAddedWhileItRuns(t *testing.T) {
	installed(t)
	for _, plugin := range both {
		ofAdd, ofGC := proxy.Start(t, n.Kubeconfig()), proxy.Start(t, n.Kubeconfig())
		p, named := newPod(t, "cross-gc-"+plugin), map[string]any{"name": "cross-gc-" + plugin}
		last := map[string][2]string{"calico": {"PATCH", "/pods/"}, "calico-ipam": {"PUT", "/ipamblocks/"}}[plugin]
		addGoesOn, gcGoesOn := make(chan struct{}), make(chan struct{})
		added, collected := make(chan node.Answer), make(chan node.Answer)
		ofAdd.Arm(holding(last[0], last[1], addGoesOn))
		go func() {
			added <- ask(t, plugin, "ADD", p, plus(named, "kubernetes.kubeconfig", ofAdd.Kubeconfig(t, n.Kubeconfig())))
		}()
		await(t, "ADD", ofAdd.Fired)
		ofGC.Arm(holding("GET", "/clusterinformations", gcGoesOn))
		go func() {
			collected <- ask(t, plugin, "GC", nil,
				valid(plus(named, "kubernetes.kubeconfig", ofGC.Kubeconfig(t, n.Kubeconfig()))))
		}()
		await(t, "GC", ofGC.Fired)
		close(addGoesOn)
		a := <-added
		expectResult(t, plugin, a)
		close(gcGoesOn)
		expectOK(t, plugin+" GC", <-collected)
		stillHolds(t, plugin, p, named, a)
		expectOK(t, "DEL", ask(t, plugin, "DEL", p, named))
	}
}

// expectResult expects a successful ADD.
func expectResult(t *testing.T, what string, a node.Answer) {
	t.Helper()
	if a.Exit != 0 {
		t.Fatalf("%s ADD: %s\n%s", what, a.Stdout, a.Stderr)
	}
}

func TestQueuedReleaseKeepsAddressesOfRepeatedAdd(t *testing.T) {
	installed(t)
	through := proxy.Start(t, n.Kubeconfig())
	p := container(t, "cross-back")
	named := map[string]any{
		"name": "cross-back", "kubernetes.kubeconfig": through.Kubeconfig(t, n.Kubeconfig()),
		"ipam.assign_ipv6": "false",
	}
	for _, ifName := range []string{"eth0", "eth1"} {
		expectResult(t, ifName, ask(t, "calico", "ADD", p, named, "CNI_ARGS", "-", "CNI_IFNAME", ifName))
	}
	through.Arm(&proxy.Fault{Lose: proxy.Before, Always: true})
	for _, ifName := range []string{"eth0", "eth1"} {
		expectOK(t, "DEL", ask(t, "calico", "DEL", p, named, "CNI_ARGS", "-", "CNI_IFNAME", ifName))
	}
	through.Arm(nil)
	a := ask(t, "calico", "ADD", p, named, "CNI_ARGS", "-")
	expectResult(t, "calico", a)
	delayHasPassed(t, named)
	expectOK(t, "STATUS", ask(t, "calico", "STATUS", nil, named))
	expectWaiting(t, "of either interface", 0)
	stillHolds(t, "calico", p, named, a, "CNI_ARGS", "-")
	expectOK(t, "DEL", ask(t, "calico", "DEL", p, named, "CNI_ARGS", "-"))
}

func TestDelByExecKeepsQueuedRelease(t *testing.T) {
	p := newPod(t, "cross-exec")
	named := map[string]any{"name": "cross-exec", "ipam.exec": true}
	expectResult(t, "calico", ask(t, "calico", "ADD", p, named))
	lock(t)
	expectOK(t, "DEL while the datastore is locked", ask(t, "calico", "DEL", p, named))
	unlock(t)
	delayHasPassed(t, named)
	q := newPod(t, "cross-exec-next")
	expectResult(t, "calico", ask(t, "calico", "ADD", q, named))
	expectOK(t, "DEL", ask(t, "calico", "DEL", q, named))
	if strings.Contains(state(t), handleOf("cross-exec", p)) {
		t.Error("the release was lost")
	}
}

func TestContainerIDsWithCommonPrefix(t *testing.T) {
	installed(t)
	p, q := container(t, "same-prefix-aa"), container(t, "same-prefix-bb")
	named := map[string]any{"name": "cross-alike", "ipam.assign_ipv6": "false"}
	first := ask(t, "calico", "ADD", p, named, "CNI_ARGS", "-")
	expectResult(t, "first", first)
	second := ask(t, "calico", "ADD", q, named, "CNI_ARGS", "-")
	expectResult(t, "second", second)
	stillHolds(t, "calico", p, named, first, "CNI_ARGS", "-")
	stillHolds(t, "calico", q, named, second, "CNI_ARGS", "-")
	expectOK(t, "DEL", ask(t, "calico", "DEL", p, named, "CNI_ARGS", "-"))
	stillHolds(t, "calico", q, named, second, "CNI_ARGS", "-")
	expectOK(t, "DEL", ask(t, "calico", "DEL", q, named, "CNI_ARGS", "-"))
}

func TestDelKeepsAnnotationsOfOtherNetwork(t *testing.T) {
	installed(t)
	through := proxy.Start(t, n.Kubeconfig())
	a, b := map[string]any{"name": "cross-a"}, map[string]any{
		"name":                  "cross-b",
		"kubernetes.kubeconfig": through.Kubeconfig(t, n.Kubeconfig()),
	}
	for name, remove := range map[string]func(p *node.Pod, added node.Answer){
		"with the result of the ADD": func(p *node.Pod, added node.Answer) {
			expectOK(t, "DEL", ask(t, "calico", "DEL", p, plus(b, "prevResult", resultOf(t, added)), "CNI_IFNAME",
				"net1"))
		},
		"without": func(p *node.Pod, _ node.Answer) {
			expectOK(t, "DEL", ask(t, "calico", "DEL", p, b, "CNI_IFNAME", "net1"))
		},
		// Calico does not record the interface of an address. In its network the address is the only one.
		"of addresses that Calico allocated": func(p *node.Pod, _ node.Answer) {
			alter(t, "cross-b."+p.ContainerID, func(attribute map[string]any) {
				delete(attribute["secondary"].(map[string]any), "interface")
			})
			expectOK(t, "DEL", ask(t, "calico", "DEL", p, b, "CNI_IFNAME", "net1"))
		},
		"after an outage": func(p *node.Pod, _ node.Answer) {
			through.Arm(&proxy.Fault{Lose: proxy.Before, Always: true})
			expectOK(t, "DEL", ask(t, "calico", "DEL", p, b, "CNI_IFNAME", "net1"))
			through.Arm(nil)
			delayHasPassed(t, b)
			expectOK(t, "STATUS", ask(t, "calico", "STATUS", nil, b))
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPod(t, "cross-networks")
			expectResult(t, "first", ask(t, "calico", "ADD", p, a))
			added := ask(t, "calico", "ADD", p, b, "CNI_IFNAME", "net1")
			expectResult(t, "second", added)
			before, err := n.Annotations(t.Context(), p)
			must(t, err)
			remove(p, added)
			after, err := n.Annotations(t.Context(), p)
			must(t, err)
			expectSame(t, "annotations", mustJSON(t, before), mustJSON(t, after))
			if strings.Contains(state(t), handleOf("cross-b", p)) {
				t.Error("the addresses of the second are still allocated")
			}
			expectOK(t, "DEL", ask(t, "calico", "DEL", p, a))
			after, err = n.Annotations(t.Context(), p)
			must(t, err)
			if after["cni.projectcalico.org/podIP"] != "" || strings.Contains(state(t), handleOf("cross-a", p)) {
				t.Errorf("annotations after the DEL of the first: %v", after)
			}
		})
	}
}

// Another plugin releases the addresses. The result of the ADD contains them.
func TestDelClearsAnnotationsWithOtherIPAMPlugin(t *testing.T) {
	p, named := newPod(t, "cross-exec-two"), map[string]any{"name": "cross-exec-two", "ipam.exec": true}
	first := ask(t, "calico", "ADD", p, named)
	expectResult(t, "first", first)
	expectResult(t, "second", ask(t, "calico", "ADD", p, named, "CNI_IFNAME", "net1"))
	expectOK(t, "DEL", ask(t, "calico", "DEL", p, plus(named, "prevResult", resultOf(t, first))))
	annotations, err := n.Annotations(t.Context(), p)
	must(t, err)
	if annotations["cni.projectcalico.org/podIP"] != "" {
		t.Errorf("the pod still has the annotations %v", annotations)
	}
	expectOK(t, "DEL", ask(t, "calico", "DEL", p, named, "CNI_IFNAME", "net1"))
}

// The addresses are released before the API server becomes unavailable. Nothing is left to release, but the pod still
// has the annotations.
func TestAnnotationsAreClearedAfterOutage(t *testing.T) {
	installed(t)
	through := proxy.Start(t, n.Kubeconfig())
	named := map[string]any{"name": "cross-stale", "kubernetes.kubeconfig": through.Kubeconfig(t, n.Kubeconfig())}
	outage := proxy.Fault{Lose: proxy.Before, Always: true}
	onPods := proxy.Fault{Lose: proxy.Before, Always: true, Matches: func(_, path string) bool {
		return strings.Contains(path, "/pods/")
	}}
	status := func(*node.Pod) {
		delayHasPassed(t, named)
		ask(t, "calico", "STATUS", nil, named)
	}
	del := func(p *node.Pod) { expectOK(t, "DEL", ask(t, "calico", "DEL", p, named)) }
	type step struct {
		fault *proxy.Fault
		do    func(*node.Pod)
	}
	for name, steps := range map[string][]step{
		"another command":               {{&onPods, del}, {nil, status}},
		"another command in the outage": {{&onPods, del}, {&onPods, status}, {nil, status}},
		"the DEL again":                 {{&onPods, del}, {nil, del}},
		"the DEL again in the outage":   {{&onPods, del}, {&outage, del}, {nil, status}},
		"another command that fails":    {{&outage, del}, {&onPods, status}, {nil, status}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPod(t, "stale-"+strings.ReplaceAll(strings.ToLower(name), " ", "-"))
			for _, ifName := range []string{"eth0", "net1"} {
				expectResult(t, ifName, ask(t, "calico", "ADD", p, named, "CNI_IFNAME", ifName))
			}
			for _, step := range steps {
				through.Arm(step.fault)
				step.do(p)
			}
			annotations, err := n.Annotations(t.Context(), p)
			must(t, err)
			if annotations["cni.projectcalico.org/podIP"] != "" || annotations["cni.projectcalico.org/podIPs"] != "" {
				t.Errorf("the pod still has the annotations %v", annotations)
			}
			expectOK(t, "DEL", ask(t, "calico", "DEL", p, named, "CNI_IFNAME", "net1"))
		})
	}
}

func TestQueuedReleaseIsSettledWithoutItsKubeconfig(t *testing.T) {
	p := newPod(t, "cross-kubeconfig")
	named := map[string]any{"name": "cross-kubeconfig"}
	for _, gone := range []string{"/nowhere/kubeconfig", ""} {
		expectResult(t, "calico", ask(t, "calico", "ADD", p, named))
		expectOK(t, "DEL", ask(t, "calico", "DEL", p, plus(named, "kubernetes.kubeconfig", gone)))
		delayHasPassed(t, named)
		expectOK(t, "STATUS", ask(t, "calico", "STATUS", nil, named))
		left, err := filepath.Glob("/var/lib/calico/cni/pending/cross-kubeconfig*")
		must(t, err)
		if len(left) > 0 || strings.Contains(state(t), handleOf("cross-kubeconfig", p)) {
			t.Errorf("kubeconfig %q: left %v", gone, left)
		}
	}
}

func TestStatusCountsSelectiveAndManualPools(t *testing.T) {
	for name, spec := range map[string]func(map[string]any){
		"namespace": func(spec map[string]any) { spec["namespaceSelector"] = "projectcalico.org/name == 'default'" },
		"manual":    func(spec map[string]any) { spec["assignmentMode"] = "Manual" },
	} {
		t.Run(name, func(t *testing.T) {
			onlyPools(t, func() { must(t, n.Datastore.CreatePool(t.Context(), "some-"+name, "10.85.0.0/28", 30, spec)) })
			named := map[string]any{"ipam.assign_ipv6": "false", "name": "cross-" + name}
			for i := range 4 {
				p := newPod(t, "some-"+name+string(rune('a'+i)), annotated(`ipv4pools=["some-`+name+`"]`))
				attach(t, "calico", p, named)
			}
			expectOK(t, "STATUS after the last of a block", ask(t, "calico", "STATUS", nil, named))
		})
	}
}
