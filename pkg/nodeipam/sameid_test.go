// SPDX-License-Identifier: Apache-2.0

package nodeipam

import (
	"net/netip"
	"testing"

	"calico-cni/pkg/workload"
)

// direct returns the evidence of a DEL on a node that is not queued.
func direct(node string, addrs ...netip.Addr) Evidence {
	return Evidence{Others: NoOthers, Addrs: addrs, Nodes: []string{node}, Fresh: true}
}

// TestDelKeepsAddressOfOtherNode deletes one of two containers with the same ID on two nodes, as cnitool creates them.
func TestDelKeepsAddressOfOtherNode(t *testing.T) {
	for name, told := range map[string]bool{"without prevResult": false, "with prevResult": true} {
		t.Run(name, func(t *testing.T) {
			w := newCluster(t)
			first, second := w.add("n1", "eth0"), w.add("n2", "eth0")
			e := direct("n1")
			if told {
				e = direct("n1", first)
			}
			if freed := w.del("eth0", e); len(freed.Addrs) != 1 || freed.Addrs[0] != first || freed.All {
				t.Errorf("freed %+v, want %s", freed, first)
			}
			if w.held() != second.String() {
				t.Errorf("held: %q, want %s", w.held(), second)
			}
			if freed := w.del("eth0", direct("n2")); !freed.All || w.held() != "" {
				t.Errorf("freed %+v, held %q", freed, w.held())
			}
		})
	}
}

// TestDelOnRenamedNode deletes a container that the node added under another name. The address in prevResult proves that
// it is the container's. Without it, the address may be that of another node.
func TestDelOnRenamedNode(t *testing.T) {
	w := newCluster(t)
	addr := w.add("old-name", "eth0")
	if freed := w.del("eth0", direct("new-name")); len(freed.Addrs) != 0 || w.held() != addr.String() {
		t.Errorf("without prevResult: freed %+v, held %q", freed, w.held())
	}
	if freed := w.del("eth0", direct("new-name", addr)); len(freed.Addrs) != 1 || w.held() != "" {
		t.Errorf("with prevResult: freed %+v, held %q", freed, w.held())
	}
}

// TestPodsWithOneHandle uses two pods whose networks and container IDs give the same handle.
func TestPodsWithOneHandle(t *testing.T) {
	w := newCluster(t)
	ids := map[string]workload.ID{
		"k8s":     {ContainerID: "pod.c1", IfName: "eth0", Namespace: "default", Pod: "p"},
		"k8s.pod": {ContainerID: "c1", IfName: "eth0", Namespace: "default", Pod: "q"},
	}
	got := map[string]netip.Addr{}
	for _, network := range []string{"k8s", "k8s.pod", "k8s", "k8s.pod"} {
		r := Request{Network: network, Node: "n1", ID: ids[network], IPv4: Family{Wanted: true}}
		view, err := w.Gather(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		g, err := w.Assign(t.Context(), view, r)
		if err != nil {
			t.Fatal(err)
		}
		addr := g.Assigned[0].Addr
		if before, ok := got[network]; ok && before != addr {
			t.Errorf("repeated ADD in %s: %s, want %s", network, addr, before)
		}
		got[network] = addr
	}
	if got["k8s"] == got["k8s.pod"] {
		t.Fatalf("both pods have %s", got["k8s"])
	}
	for _, network := range []string{"k8s", "k8s.pod"} {
		h, err := w.Lookup(t.Context(), network, ids[network])
		if err != nil {
			t.Fatal(err)
		}
		freed, err := w.Release(t.Context(), h, direct("n1"))
		if err != nil || len(freed.Addrs) != 1 || freed.Addrs[0] != got[network] {
			t.Errorf("DEL in %s: freed %+v, %v, want %s", network, freed, err, got[network])
		}
	}
}
