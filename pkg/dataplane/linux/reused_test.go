// SPDX-License-Identifier: Apache-2.0

package linux_test

import (
	"testing"

	"calico-cni/internal/nettest"
	"calico-cni/pkg/dataplane"
	"calico-cni/pkg/dataplane/linux"
)

// makers are the plugins that may have created the attachment, and the alias that each sets on the host interface.
var makers = []struct {
	name  string
	alias func(spec dataplane.Spec) string
}{
	{"this plugin", func(spec dataplane.Spec) string { return spec.Handle + "/" + spec.IfName }},
	{"Calico", func(dataplane.Spec) string { return "" }},
}

// attached are the attachments that a DEL may find, with the properties that they share with its own.
var attached = []struct {
	name     string
	change   func(spec *dataplane.Spec)
	ours     bool
	workload bool // The attachment is of the same workload, for which Calico uses the same host interface name.
}{
	{"of this container", func(*dataplane.Spec) {}, true, true},
	{"of another container of the same pod", func(s *dataplane.Spec) { s.Handle = "net.sandbox-2" }, false, true},
	{
		"of another pod", func(s *dataplane.Spec) { s.Handle, s.HostIfName = "net.sandbox-2", "cali00000000000" }, false,
		false,
	},
	{"of this container, with another prefix", func(s *dataplane.Spec) { s.HostIfName = "tap0123456789a" }, true, true},
}

// TestTeardownRemovesOnlyItsOwnAttachment covers a namespace path that now leads to the namespace of another pod.
func TestTeardownRemovesOnlyItsOwnAttachment(t *testing.T) {
	for _, maker := range makers {
		for _, a := range attached {
			// If confirmed is true, the pod's annotations confirm that an unmarked attachment belongs to the container.
			for _, confirmed := range []bool{false, true} {
				for _, path := range []string{"present", "gone"} {
					name := "created by " + maker.name + ", " + a.name + ", namespace " + path
					if confirmed {
						name += ", confirmed by annotations"
					}
					t.Run(name, func(t *testing.T) {
						node, pod := newNode(t), newPod(t)
						spec := specFor(pod, addr4, addr6)
						a.change(&spec)
						mustSetup(t, node, linux.New(""), spec)
						setAlias(t, node, spec.HostIfName, maker.alias(spec))
						target := targetOf(specFor(pod))
						target.Unmarked = confirmed
						want := a.ours
						if maker.name == "Calico" {
							// Only the annotations identify the container.
							want = a.workload && confirmed
						}
						if path == "gone" {
							target.NetNS = ""
							want = want && spec.HostIfName == target.HostIfName
						}
						must(t, teardown(t, node, linux.New(""), target))
						if gone := isAbsent(node, spec.HostIfName); gone != want {
							t.Errorf("the interface is gone: %t, want %t", gone, want)
						}
					})
				}
			}
		}
	}
}

func isAbsent(ns *nettest.NetNS, name string) (absent bool) {
	ns.Do(func() { absent = indexOf(name) == 0 })
	return absent
}

// The mark of another interface in the namespace identifies the container.
func TestTeardownIdentifiesContainerByOtherInterfaces(t *testing.T) {
	for _, c := range []struct {
		name, second string
		removed      bool
	}{
		{"of this container", "net.sandbox-1/net1", true},
		{"of this container in another network", "other.sandbox-1/net1", true},
		{"of another container", "net.sandbox-2/net1", false},
		{"of no container", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			node, pod := newNode(t), newPod(t)
			first, _ := addSecond(t, node, pod)
			setAlias(t, node, hostIfName, "")
			setAlias(t, node, secondHostIfName, c.second)
			must(t, teardown(t, node, linux.New(""), targetOf(first)))
			if gone := isAbsent(node, hostIfName); gone != c.removed {
				t.Errorf("the interface of Calico is gone: %t, want %t", gone, c.removed)
			}
			if isAbsent(node, secondHostIfName) {
				t.Error("the second interface is gone")
			}
		})
	}
}
