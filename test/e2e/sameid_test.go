// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"testing"

	current "github.com/containernetworking/cni/pkg/types/100"

	"calico-cni/test/node"
)

// runAs calls a plugin for a pod with another container ID.
func runAs(t *testing.T, plugin, command string, p *node.Pod, id string, changes map[string]any) node.Answer {
	t.Helper()
	config, err := n.Config(changes)
	must(t, err)
	a, err := n.Run(t.Context(), node.Call{
		Plugin: plugin, Command: command, Pod: p, Config: config, Env: map[string]string{"CNI_CONTAINERID": id},
	})
	must(t, err)
	if a.Exit != 0 {
		t.Fatalf("%s of %s: %s", command, plugin, a.Stdout)
	}
	return a
}

// firstAddr returns the IPv4 address of an answer to ADD.
func firstAddr(t *testing.T, a node.Answer) string {
	t.Helper()
	var r current.Result
	must(t, json.Unmarshal([]byte(a.Stdout), &r))
	return addrs(t, &r)[0].String()
}

// allocatedTo counts the addresses under a handle.
func allocatedTo(t *testing.T, handle string) int {
	t.Helper()
	blocks, err := n.Datastore.List(t.Context(), "ipamblocks")
	must(t, err)
	count := 0
	for _, spec := range blocks {
		attributes, _ := spec["attributes"].([]any)
		for _, a := range attributes {
			if m, ok := a.(map[string]any); ok && m["handle_id"] == handle {
				count++
			}
		}
	}
	return count
}

// TestDelKeepsAddressesOfSameContainerIDOnOtherNode adds containers with the same ID on two nodes.
func TestDelKeepsAddressesOfSameContainerIDOnOtherNode(t *testing.T) {
	for _, plugin := range []string{"calico-ipam", "calico"} {
		t.Run(plugin, func(t *testing.T) {
			p, q := newPod(t, "same-id-1"), newPod(t, "same-id-2")
			id, elsewhere := "same-id-"+plugin, map[string]any{"nodename": "other"}
			handle := node.Network + "." + id
			runAs(t, plugin, "ADD", p, id, nil)
			runAs(t, plugin, "ADD", q, id, elsewhere)
			runAs(t, plugin, "DEL", p, id, nil)
			if got := allocatedTo(t, handle); got != 2 {
				t.Errorf("after the DEL on the first node: %d addresses, want both of the other node", got)
			}
			runAs(t, plugin, "DEL", q, id, elsewhere)
			if got := allocatedTo(t, handle); got != 0 {
				t.Errorf("after both DELs: %d addresses", got)
			}
		})
	}
}

// TestPodsWithOneHandleKeepTheirAddresses uses two pods whose networks and container IDs give the same handle.
func TestPodsWithOneHandleKeepTheirAddresses(t *testing.T) {
	for _, plugin := range []string{"calico-ipam", "calico"} {
		t.Run(plugin, func(t *testing.T) {
			p, q := newPod(t, "one-handle-1"), newPod(t, "one-handle-2")
			first, second := map[string]any{"name": "k8s"}, map[string]any{"name": "k8s.pod"}
			a := firstAddr(t, runAs(t, plugin, "ADD", p, "pod.c1", first))
			b := firstAddr(t, runAs(t, plugin, "ADD", q, "c1", second))
			if a == b {
				t.Errorf("both pods have %s", a)
			}
			before := allocatedTo(t, "k8s.pod.c1")
			runAs(t, plugin, "DEL", p, "pod.c1", first)
			if got := allocatedTo(t, "k8s.pod.c1"); got != before/2 || got == 0 {
				t.Errorf("after one DEL: %d of %d addresses", got, before)
			}
			runAs(t, plugin, "DEL", q, "c1", second)
			if got := allocatedTo(t, "k8s.pod.c1"); got != 0 {
				t.Errorf("after both DELs: %d addresses", got)
			}
		})
	}
}
