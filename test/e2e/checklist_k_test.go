package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"calico-cni/internal/nettest"
	"calico-cni/test/node"
	"calico-cni/test/sandbox"
)

func TestK1_CheckCameWith040AndTakesAPreviousResult(t *testing.T) {
	p := newPod(t, "k1")
	for _, plugin := range both {
		a := attach(t, plugin, p, map[string]any{"name": "k1-" + plugin})
		for _, version := range []string{"0.1.0", "0.2.0", "0.3.0", "0.3.1"} {
			got := check(t, plugin, p, map[string]any{"name": "k1-" + plugin, "cniVersion": version}, a)
			expectError(t, plugin+" "+version, got, 1, version, "CHECK", "0.4.0")
		}
		expectError(t, plugin, ask(t, plugin, "CHECK", p, map[string]any{"name": "k1-" + plugin}), 7, "prevResult")
		expectOK(t, "DEL", ask(t, plugin, "DEL", p, map[string]any{"name": "k1-" + plugin}))
	}
}

func TestK2_WhatOtherPluginsPutIntoTheResultIsTheirs(t *testing.T) {
	p := newPod(t, "k2")
	for _, plugin := range both {
		named := map[string]any{"name": "k2-" + plugin}
		a := attach(t, plugin, p, named)
		r := resultOf(t, a)
		said := mustJSON(t, map[string]any{
			"cniVersion": "1.1.0", "dns": map[string]any{}, "routes": append(list(r.Routes), map[string]any{"dst": "203.0.113.0/24", "gw": "192.0.2.1"}),
			"interfaces": append(list(r.Interfaces), map[string]any{"name": "other0", "sandbox": p.NetNS}, map[string]any{"name": "br9"}),
			"ips":        append(list(r.IPs), map[string]any{"address": "203.0.113.9/24", "interface": len(r.Interfaces)}),
		})
		expectOK(t, plugin+" CHECK", check(t, plugin, p, named, node.Answer{Stdout: said}))
		expectOK(t, "DEL", ask(t, plugin, "DEL", p, named))
	}
}

func list[T any](of []T) []any {
	var out []any
	for _, one := range of {
		out = append(out, one)
	}
	return out
}

func TestK3_AMissingInterfaceIsNamed(t *testing.T) {
	p := newPod(t, "k3-missing")
	a := attach(t, "calico", p, nil)
	nettest.Open(t, p.NetNS).Do(func() { must(t, removeLink("eth0")) })
	expectError(t, "CHECK", check(t, "calico", p, nil, a), 103, "eth0", "absent")
}

func TestK3_AnotherSandboxIsNamed(t *testing.T) {
	p := newPod(t, "k3-sandbox")
	a := attach(t, "calico", p, nil)
	other, err := sandbox.NewNetNS("k3-other")
	must(t, err)
	defer func() { must(t, sandbox.RemoveNetNS(other)) }()
	expectError(t, "CHECK", check(t, "calico", p, nil, a, "CNI_NETNS", other), 103, p.NetNS, other)
	expectError(t, "CHECK", check(t, "calico", p, nil, a, "CNI_NETNS", "/run/netns/gone"), 103, p.NetNS, "/run/netns/gone")
	expectError(t, "CHECK", check(t, "calico", p, nil, a, "CNI_IFNAME", "net9"), 103, "net9")
}

// TestK4 takes the addresses away behind the attachment's back, and gives them to another.
func TestK4_AnAllocationThatIsGoneOrAnothersIsNamed(t *testing.T) {
	for _, plugin := range both {
		p := newPod(t, "k4-"+plugin)
		a := attach(t, plugin, p, nil)
		v4 := addrs(t, resultOf(t, a))[0].String()
		alter(t, node.Network+"."+p.ContainerID, func(attribute map[string]any) {
			attribute["secondary"].(map[string]any)["pod"] = "thief"
		})
		expectError(t, plugin+" CHECK, another's", check(t, plugin, p, nil, a), 103, v4, "default/thief")
		alter(t, node.Network+"."+p.ContainerID, func(attribute map[string]any) {
			attribute["secondary"].(map[string]any)["pod"] = p.Name
		})
		expectOK(t, plugin+" CHECK", check(t, plugin, p, nil, a))
		expectOK(t, "DEL of calico-ipam", ask(t, "calico-ipam", "DEL", p, nil))
		expectError(t, plugin+" CHECK, released", check(t, plugin, p, nil, a), 103, v4, "not held")
	}
}

// TestK6 lists the forms that an attachment takes.
func TestK6_RightAfterAddAllIsWell(t *testing.T) {
	own := func(p *corev1.Pod) {
		p.Annotations = map[string]string{"cni.projectcalico.org/ipAddrsNoIpam": `["10.79.0.7"]`}
	}
	for i, form := range []struct {
		name, plugin string
		changes      map[string]any
		env          []string
		pod          []func(*corev1.Pod)
	}{
		{name: "IPv4", plugin: "calico", changes: map[string]any{"ipam.assign_ipv6": "false"}},
		{name: "IPv6", plugin: "calico", changes: map[string]any{"ipam.assign_ipv4": "false"}},
		{name: "dual stack", plugin: "calico"},
		{name: "another interface name", plugin: "calico", env: []string{"CNI_IFNAME", "net1"}},
		{name: "no pod", plugin: "calico", env: []string{"CNI_ARGS", "-"}},
		{name: "calico-ipam", plugin: "calico-ipam"},
		{name: "calico-ipam, no pod", plugin: "calico-ipam", env: []string{"CNI_ARGS", "-"}},
		{name: "calico-ipam by exec", plugin: "calico", changes: map[string]any{"ipam.exec": true}},
		{name: "host-local", plugin: "calico", changes: hostLocal(t, "10.79.1.0/24")},
		{name: "addresses of the pod's own", plugin: "calico", changes: map[string]any{"feature_control": map[string]any{"ip_addrs_no_ipam": true}}, pod: []func(*corev1.Pod){own}},
		{name: "0.4.0", plugin: "calico", changes: map[string]any{"cniVersion": "0.4.0"}},
		{name: "1.0.0", plugin: "calico", changes: map[string]any{"cniVersion": "1.0.0"}},
		{name: "calico-ipam, 0.4.0", plugin: "calico-ipam", changes: map[string]any{"cniVersion": "0.4.0"}},
		{name: "calico-ipam, 1.0.0", plugin: "calico-ipam", changes: map[string]any{"cniVersion": "1.0.0"}},
	} {
		t.Run(form.name, func(t *testing.T) {
			p := newPod(t, fmt.Sprint("k6-", i), form.pod...)
			a := attach(t, form.plugin, p, form.changes, form.env...)
			expectOK(t, "CHECK", check(t, form.plugin, p, form.changes, a, form.env...))
		})
	}
}

func TestK7_AnotherIPAMPluginIsAskedToo(t *testing.T) {
	p := newPod(t, "k7")
	changes := hostLocal(t, "10.79.2.0/24")
	a := attach(t, "calico", p, changes)
	leases, err := filepath.Glob(filepath.Join(changes["ipam"].(map[string]any)["dataDir"].(string), "*", "10.79.2.*"))
	must(t, err)
	if len(leases) != 1 {
		t.Fatalf("leases %v", leases)
	}
	must(t, os.Remove(leases[0]))
	a = check(t, "calico", p, changes, a)
	expectError(t, "CHECK", a, a.Error.Code, "IPAM plugin host-local", p.ContainerID)

	byExec := map[string]any{"ipam.exec": true, "name": "k7"}
	again := newPod(t, "k7-exec")
	a = attach(t, "calico", again, byExec)
	expectOK(t, "DEL of calico-ipam", ask(t, "calico-ipam", "DEL", again, byExec))
	expectError(t, "CHECK by exec", check(t, "calico", again, byExec, a), 103, "calico-ipam", "not held")
}

// TestK8 looks at everything before and after a CHECK that succeeds, and one that fails.
func TestK8_CheckChangesNothing(t *testing.T) {
	p := newPod(t, "k8")
	a := attach(t, "calico", p, nil)
	ns := nettest.Open(t, p.NetNS)
	for what, env := range map[string][]string{"that succeeds": nil, "that fails": {"CNI_CONTAINERID", "another"}} {
		unchanged(t, "CHECK "+what, func() {
			before := ns.Dump() + nettest.Open(t, "/proc/self/ns/net").Dump()
			for _, plugin := range both {
				got := check(t, plugin, p, nil, a, env...)
				if failed := got.Exit != 0; failed != (env != nil) {
					t.Errorf("CHECK of %s %s: %+v", plugin, what, got)
				}
			}
			if diff := cmp.Diff(before, ns.Dump()+nettest.Open(t, "/proc/self/ns/net").Dump()); diff != "" {
				t.Errorf("CHECK %s (-before +after):\n%s", what, diff)
			}
		})
	}
}

func TestK9_TroubleWithTheAPIServerIsTransient(t *testing.T) {
	p := newPod(t, "k9")
	for _, plugin := range both {
		named := map[string]any{"name": "k9-" + plugin}
		a := attach(t, plugin, p, named)
		expectOK(t, plugin+" CHECK", check(t, plugin, p, named, a))
		// With its addresses gone, an attachment is broken, but nobody can tell.
		expectOK(t, plugin, ask(t, "calico-ipam", "DEL", p, named))
		for _, o := range outages(t) {
			t.Run(plugin+" "+o.name, func(t *testing.T) {
				broken := plus(named, "kubernetes.kubeconfig", o.begin(t))
				defer o.end(t)
				expectError(t, "CHECK", check(t, plugin, p, broken, a), 11, o.says)
			})
		}
		expectError(t, plugin+" CHECK afterwards", check(t, plugin, p, named, a), 103)
		expectOK(t, "DEL", ask(t, plugin, "DEL", p, named))
	}
}
