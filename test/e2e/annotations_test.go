// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"calico-cni/internal/nettest"
	"calico-cni/test/node"
)

const prefix = "cni.projectcalico.org/"

// annotated sets annotations of a pod, "key=value" each.
func annotated(pairs ...string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Annotations = map[string]string{}
		for _, pair := range pairs {
			key, value, _ := strings.Cut(pair, "=")
			p.Annotations[prefix+key] = value
		}
	}
}

// annotateNamespace annotates the namespace "default" until the test ends.
func annotateNamespace(t *testing.T, key, value string) {
	t.Helper()
	installed(t)
	set := func(value string) {
		patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%s}}}`, prefix+key, value)
		_, err := n.Server.Client().CoreV1().Namespaces().Patch(withoutCancel(t.Context()), "default",
			types.MergePatchType, patch, metav1.PatchOptions{})
		must(t, err)
	}
	set(fmt.Sprintf("%q", value))
	t.Cleanup(func() { set("null") })
}

// unselected creates pools that select no node and no namespace, so that only a request uses them.
func unselected(t *testing.T, pools ...string) {
	t.Helper()
	installed(t)
	for _, pool := range pools {
		name, cidr, _ := strings.Cut(pool, "=")
		size := 29
		if strings.Contains(cidr, ":") {
			size = 125
		}
		must(t, n.Datastore.CreatePool(t.Context(), name, cidr, size, func(spec map[string]any) {
			spec["nodeSelector"], spec["namespaceSelector"] = "zone == 'moon'", "zone == 'mars'"
		}))
		t.Cleanup(func() { must(t, n.Datastore.Delete(withoutCancel(t.Context()), "ippools", name)) })
	}
}

// TestPoolsAndFamiliesPrecedence adds pods whose pools and families are requested in different places.
func TestPoolsAndFamiliesPrecedence(t *testing.T) {
	unselected(t, "of-pod4=10.61.0.0/24", "of-ns4=10.62.0.0/24", "of-conf4=10.63.0.0/24", "of-pod6=fd00:61::/112",
		"of-ns6=fd00:62::/112", "of-conf6=fd00:63::/112")
	conf := map[string]any{"ipam.ipv4_pools": []string{"of-conf4"}, "ipam.ipv6_pools": []string{"of-conf6"}}
	for _, c := range []struct {
		name           string
		pod, namespace []string
		want           string
	}{
		{"none", nil, nil, "10.63. fd00:63:"},
		{"namespace", nil, []string{`ipv4pools=["of-ns4"]`, `ipv6pools=["fd00:62::/112"]`}, "10.62. fd00:62:"},
		{
			"pod",
			[]string{`ipv4pools=["10.61.0.0/24"]`, `ipv6pools=["of-pod6"]`},
			[]string{`ipv4pools=["of-ns4"]`},
			"10.61. fd00:61:",
		},
		{"mixed", []string{`ipv6pools=["of-pod6"]`}, []string{`ipv4pools=["of-ns4"]`}, "10.62. fd00:61:"},
		{"families-namespace", nil, []string{`ipFamilies=["IPv6"]`}, "fd00:63:"},
		{"families-pod", []string{`ipFamilies=["IPv4"]`}, []string{`ipFamilies=["IPv6"]`}, "10.63."},
		{"families-both", []string{`ipFamilies=["IPv6","IPv4"]`}, []string{`ipFamilies=["IPv6"]`}, "10.63. fd00:63:"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, pair := range c.namespace {
				key, value, _ := strings.Cut(pair, "=")
				annotateNamespace(t, key, value)
			}
			p := newPod(t, "wish-"+c.name, annotated(c.pod...))
			wantAddrs(t, addrs(t, add(t, p, conf)), c.want)
			if a := del(t, p, conf); a.Exit != 0 {
				t.Errorf("DEL: %+v", a)
			}
		})
	}
}

// wantAddrs compares addresses by their prefixes.
func wantAddrs(t *testing.T, got []netip.Addr, beginnings string) {
	t.Helper()
	want := strings.Fields(beginnings)
	if len(want) != len(got) {
		t.Fatalf("addresses %v, want %v", got, want)
	}
	for i, addr := range got {
		if !strings.HasPrefix(addr.String(), want[i]) {
			t.Errorf("address %s, want prefix %s", addr, want[i])
		}
	}
}

func TestSpecificAddressesAreAllocatedOnce(t *testing.T) {
	named := annotated(`ipAddrs=["fd00:10:244::777","10.244.210.7"]`)
	p, second := newPod(t, "named", named), newPod(t, "named-second", named)
	// The IP of CNI_ARGS has a lower precedence.
	r := add(t, p, nil, "CNI_ARGS", p.Args()+";IP=10.244.210.8")
	wantAddrs(t, addrs(t, r), "10.244.210.7 fd00:10:244::777")
	if held := state(t); !strings.Contains(held, `"pod":"named"`) || strings.Contains(held, "10.244.210.8") {
		t.Errorf("IPAM has not allocated the addresses to the pod:\n%s", held)
	}
	expectRefusal(t, second, refusal{code: 102, says: []string{"10.244.210.7"}})
	if a := del(t, p, nil); a.Exit != 0 {
		t.Errorf("DEL: %+v", a)
	}
	add(t, second, nil)
}

func TestSpecificAddressMustBeForWorkloads(t *testing.T) {
	installed(t)
	must(t, n.Datastore.CreatePool(t.Context(), "for-services", "10.64.0.0/24", 29, func(spec map[string]any) {
		spec["allowedUses"] = []any{"LoadBalancer"}
	}))
	t.Cleanup(func() { must(t, n.Datastore.Delete(withoutCancel(t.Context()), "ippools", "for-services")) })
	p := newPod(t, "named-use", annotated(`ipAddrs=["10.64.0.7"]`))
	expectRefusal(t, p, refusal{code: 102, says: []string{"10.64.0.7", "for-services", "allowedUses"}})
	nowhere := newPod(t, "named-nowhere", annotated(`ipAddrs=["10.65.0.7"]`))
	expectRefusal(t, nowhere, refusal{code: 102, says: []string{"10.65.0.7", "no pool"}})
}

func TestAddressesWithoutIPAM(t *testing.T) {
	for name, exec := range map[string]bool{"in-process": false, "by-exec": true} {
		t.Run(name, func(t *testing.T) {
			p := newPod(t, "own-"+name, annotated(`ipAddrsNoIpam=["fd00:aa::7","10.170.0.7"]`))
			allowed := map[string]any{"feature_control": map[string]any{"ip_addrs_no_ipam": true}, "ipam.exec": exec}
			unchangedBut(t, "ADD and DEL", withoutPod(p.Name), func() {
				got := addrs(t, attachList(t, p, allowed))
				wantAddrs(t, got, "10.170.0.7 fd00:aa::7")
				for _, addr := range got {
					ping(t, "host to pod", nil, addr)
				}
				if s := state(t); strings.Contains(s, "handle "+node.Network+"."+strings.ToLower(p.ContainerID)) {
					t.Errorf("IPAM has a handle of the pod:\n%s", s)
				}
				if annotations, err := n.Annotations(t.Context(), p); err != nil ||
					annotations[prefix+"podIPs"] != "10.170.0.7/32,fd00:aa::7/128" {
					t.Errorf("annotations %v, %v", annotations, err)
				}
				if a := del(t, p, allowed); a.Exit != 0 {
					t.Errorf("DEL: %+v", a)
				}
			})
		})
	}
}

func TestOtherAnnotationsAndMACPrecedence(t *testing.T) {
	p := newPod(t, "rest", annotated(
		"hwAddr=02:00:00:00:56:78", `allowedSourcePrefixes=["192.0.2.0/25","2001:db8::/64"]`, `floatingIPs=["192.0.2.99"]`))
	r := add(t, p, map[string]any{
		"feature_control": map[string]any{"floating_ips": true},
		"runtimeConfig":   map[string]any{"mac": "02:00:00:00:99:99"},
	})
	pod := nettest.Open(t, p.NetNS).Dump()
	if r.Interfaces[1].Mac != "02:00:00:00:56:78" || !strings.Contains(pod, "mac=02:00:00:00:56:78") {
		t.Errorf("the result has the MAC %s, the pod:\n%s", r.Interfaces[1].Mac, pod)
	}
	before, err := n.Annotations(t.Context(), p)
	must(t, err)
	if before[prefix+"floatingIPs"] != `["192.0.2.99"]` || before[prefix+"allowedSourcePrefixes"] == "" {
		t.Errorf("the annotations for the node agent are gone: %v", before)
	}
}

func TestInvalidAnnotationIsNamed(t *testing.T) {
	long := `["` + strings.Repeat("x", 5000) + `"]`
	local := map[string]any{"ipam": map[string]any{
		"type":   "host-local",
		"ranges": []any{[]any{map[string]any{"subnet": "10.77.0.0/24"}}},
	}}
	allowed := map[string]any{"feature_control": map[string]any{"ip_addrs_no_ipam": true}}
	for i, c := range []struct {
		annotations []string
		changes     map[string]any
		says        string
	}{
		{[]string{`ipv4pools=default`}, nil, "ipv4pools of the pod"},
		{[]string{`ipv4pools=["fd00::/64"]`}, nil, "ipv4pools of the pod"},
		{[]string{`ipv6pools=[7]`}, nil, "ipv6pools of the pod"},
		{[]string{`ipv6pools=["10.0.0.0/8"]`}, nil, "ipv6pools of the pod"},
		{[]string{`ipv6pools=` + long + long}, nil, "ipv6pools of the pod"},
		{[]string{`ipFamilies=["IPv5"]`}, nil, "ipFamilies of the pod"},
		{[]string{`ipFamilies=[]`}, nil, "ipFamilies of the pod"},
		{[]string{`ipAddrs=10.0.0.5`}, nil, "ipAddrs of the pod"},
		{[]string{`ipAddrs=["10.0.0.5/32"]`}, nil, "ipAddrs of the pod"},
		{[]string{`ipAddrs=["10.0.0.5","10.0.0.6"]`}, nil, "ipAddrs of the pod"},
		{[]string{`ipAddrs=[]`}, nil, "ipAddrs of the pod"},
		{[]string{`ipAddrs=["10.0.0.5"]`, `ipAddrsNoIpam=["10.0.0.6"]`}, allowed, "remove one of the two"},
		{[]string{`ipAddrs=["10.77.0.5"]`}, local, "requires calico-ipam"},
		{[]string{`ipAddrsNoIpam=["10.0.0.5"]`}, nil, "feature_control.ip_addrs_no_ipam"},
		{[]string{`ipAddrsNoIpam=["10.0.0.5","10.0.0.6"]`}, allowed, "ipAddrsNoIpam of the pod"},
		{[]string{`floatingIPs=["192.0.2.99"]`}, nil, "feature_control.floating_ips"},
		{
			[]string{`floatingIPs=["192.0.2.0/24"]`},
			map[string]any{"feature_control": map[string]any{"floating_ips": true}},
			"floatingIPs of the pod",
		},
		{[]string{`hwAddr=bogus`}, nil, "hwAddr of the pod"},
		{[]string{`hwAddr=01:00:5e:00:00:01`}, nil, "hwAddr of the pod"},
		{[]string{`hwAddr=00:00:00:00:00:00`}, nil, "hwAddr of the pod"},
		{[]string{`allowedSourcePrefixes=["10.0.0.5"]`}, nil, "allowedSourcePrefixes of the pod"},
		{[]string{"hwAddr=a\x07\nb"}, nil, "hwAddr of the pod"},
	} {
		t.Run(fmt.Sprint(i, " ", c.annotations[0][:min(len(c.annotations[0]), 30)]), func(t *testing.T) {
			p := newPod(t, fmt.Sprint("wrong-", i), annotated(c.annotations...))
			expectRefusal(t, p, refusal{changes: c.changes, code: 7, says: []string{prefix, c.says}})
		})
	}
	t.Run("of the namespace", func(t *testing.T) {
		annotateNamespace(t, "ipFamilies", "IPv4")
		expectRefusal(t, newPod(t, "wrong-namespace"),
			refusal{code: 7, says: []string{prefix + "ipFamilies of the namespace"}})
	})
}
