// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"strings"
	"testing"

	"calico-cni/internal/nettest"
	"calico-cni/test/node"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// asCalico removes the interface names from the allocations of a handle, because Calico writes none.
func asCalico(t *testing.T, handle string) {
	t.Helper()
	blocks := n.Datastore.Resource("ipamblocks")
	list, err := blocks.List(t.Context(), metav1.ListOptions{})
	must(t, err)
	changed := 0
	for _, b := range list.Items {
		before := changed
		for _, a := range b.Object["spec"].(map[string]any)["attributes"].([]any) {
			attribute := a.(map[string]any)
			secondary, _ := attribute["secondary"].(map[string]any)
			if attribute["handle_id"] == handle && secondary["interface"] != nil {
				delete(secondary, "interface")
				changed++
			}
		}
		if changed > before {
			_, err := blocks.Update(t.Context(), &b, metav1.UpdateOptions{})
			must(t, err)
		}
	}
	if changed == 0 {
		t.Fatalf("handle %s holds nothing for a named interface", handle)
	}
}

// TestIPAMPluginReleasesAllocationsOfCalico is the case of Multus: calico-ipam under macvlan, for
// net1.
func TestIPAMPluginReleasesAllocationsOfCalico(t *testing.T) {
	p := newPod(t, "multus")
	for _, c := range []struct {
		name string
		// calico and ours are the interfaces for which Calico and our plugin allocated.
		calico, ours []string
		// passed says that the runtime passes the result of the ADD.
		passed bool
		// left says whether addresses are left after the DEL of net1.
		left bool
	}{
		{name: "one interface", calico: []string{"net1"}},
		{name: "one interface, result passed", calico: []string{"net1"}, passed: true},
		{name: "one interface of ours", ours: []string{"net1"}},
		{name: "a second of ours", calico: []string{"net1"}, ours: []string{"net2"}, passed: true, left: true},
		{name: "the first of ours", calico: []string{"net1"}, ours: []string{"eth0"}, passed: true, left: true},
		{name: "the first of Calico", ours: []string{"net1"}, calico: []string{"eth0"}, left: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := "multus-" + strings.NewReplacer(" ", "-", ",", "").Replace(strings.ToLower(c.name))
			changes := map[string]any{"name": name, "type": "macvlan", "ipam.assign_ipv6": "false"}
			results := map[string]node.Answer{}
			allocate := func(ifName string) {
				a := ask(t, "calico-ipam", "ADD", p, changes, "CNI_IFNAME", ifName)
				expectResult(t, "calico-ipam", a)
				results[ifName] = a
			}
			for _, ifName := range c.calico {
				allocate(ifName)
			}
			if len(c.calico) > 0 {
				asCalico(t, name+"."+p.ContainerID)
			}
			for _, ifName := range c.ours {
				allocate(ifName)
			}
			del := changes
			if c.passed {
				del = plus(changes, "prevResult", prevResult(t, results["net1"], p))
			}
			for range 2 {
				expectOK(t, "DEL", ask(t, "calico-ipam", "DEL", p, del, "CNI_IFNAME", "net1"))
			}
			address := addrs(t, resultOf(t, results["net1"]))[0].String()
			s := state(t)
			if held := strings.Contains(s, handleOf(name, p)); held != c.left {
				t.Errorf("the handle is left: %t, want %t\n%s", held, c.left, s)
			}
			for _, ifName := range []string{"eth0", "net2"} {
				if a, ok := results[ifName]; ok {
					expectOK(t, "CHECK of "+ifName,
						ask(t, "calico-ipam", "CHECK", p, plus(changes, "prevResult", prevResult(t, a, p, ifName)),
							"CNI_IFNAME", ifName))
					expectOK(t, "DEL", ask(t, "calico-ipam", "DEL", p, changes, "CNI_IFNAME", ifName))
				}
			}
			if s := state(t); strings.Contains(s, handleOf(name, p)) {
				t.Errorf("%s is still allocated:\n%s", address, s)
			}
		})
	}
}

// prevResult returns a result of macvlan with the addresses of the IPAM plugin.
func prevResult(t *testing.T, a node.Answer, p *node.Pod, ifName ...string) map[string]any {
	t.Helper()
	name := "net1"
	if len(ifName) > 0 {
		name = ifName[0]
	}
	var ips []any
	for _, ip := range resultOf(t, a).IPs {
		ips = append(ips, map[string]any{"address": ip.Address.String(), "interface": 0})
	}
	return map[string]any{
		"cniVersion": "1.0.0", "interfaces": []any{map[string]any{"name": name, "sandbox": p.NetNS}},
		"ips": ips,
	}
}

// TestDelWithReducedConfigurationReleasesLease calls host-local like Multus after it has lost the configuration.
func TestDelWithReducedConfigurationReleasesLease(t *testing.T) {
	p := container(t, "cut-down")
	changes := plus(hostLocal(t, "10.79.9.0/24"), "kubernetes", nil, "policy", nil)
	leases := changes["ipam"].(map[string]any)["dataDir"].(string)
	add(t, p, changes, "CNI_ARGS", "-")
	if got := held(t, leases); got != 1 {
		t.Fatalf("%d leases after ADD", got)
	}
	cut := plus(changes, "ipam", map[string]any{"type": "host-local", "dataDir": leases})
	for range 2 {
		expectOK(t, "DEL", call(t, "DEL", p, cut, "CNI_ARGS", "-"))
		if got := held(t, leases); got != 0 {
			t.Errorf("%d leases after DEL", got)
		}
	}
	if links := nettest.Open(t, p.NetNS).Dump(); strings.Contains(links, "eth0") {
		t.Errorf("the interface is left:\n%s", links)
	}
}
