// SPDX-License-Identifier: Apache-2.0

package linux_test

import (
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"calico-cni/pkg/dataplane/linux"
)

// TestNetlinkRequestsOfAnAttachment bounds the netlink requests of each operation on a dual-stack pod. Setup polls
// until the kernel is ready, with up to four requests per poll. The test takes the minimum of several runs and allows
// one extra poll.
func TestNetlinkRequestsOfAnAttachment(t *testing.T) {
	const runs = 10
	node, pod := newNode(t), newPod(t)
	d, spec := linux.New(""), specFor(pod, addr4, addr6)
	operations := []struct {
		name string
		most int
		do   func() error
	}{
		{"Admit", 2, func() error { _, err := d.Admit(t.Context(), spec); return err }},
		{"Setup", 32, func() error { _, err := d.Setup(t.Context(), spec); return err }},
		{"Check", 9, func() error { return d.Check(t.Context(), spec) }},
		{"Teardown", 5, func() error { _, err := d.Teardown(t.Context(), targetOf(spec)); return err }},
		{"Teardown of an absent attachment", 3, func() error {
			_, err := d.Teardown(t.Context(), targetOf(spec))
			return err
		}},
	}
	least := make([]int, len(operations))
	for run := range runs {
		for i, o := range operations {
			var err error
			made := node.Intercept([]uint32{unix.SYS_SENDTO}, func(int) {}, func() { err = o.do() })
			must(t, err)
			if run == 0 || made < least[i] {
				least[i] = made
			}
		}
	}
	for i, o := range operations {
		t.Logf("%s: %d netlink requests", o.name, least[i])
		if least[i] > o.most {
			t.Errorf("%s makes %d netlink requests, want at most %d", o.name, least[i], o.most)
		}
	}
}

func TestSetupFailsIfInterfaceIsRemovedAtAnyRequest(t *testing.T) {
	hits := 0
	for request, made := 0, 1; request < made; request++ {
		node, pod := newNode(t), newPod(t)
		before, removed := state(t, node), false
		var err error
		made = node.Intercept(changes, func(calls int) {
			if calls != request {
				return
			}
			node.Do(func() {
				if link, err := netlink.LinkByName(hostIfName); err == nil {
					removed = netlink.LinkDel(link) == nil
				}
			})
		}, func() { _, err = linux.New("").Setup(t.Context(), specFor(pod, addr4, addr6)) })
		if !removed {
			must(t, err)
			continue
		}
		hits++
		if err == nil {
			t.Errorf("request %d: Setup succeeded without its interface", request)
		}
		wantSame(t, "host", before, node)
	}
	if hits < 10 {
		t.Errorf("the interface was removed %d times, want once ahead of each request after its creation", hits)
	}
}
