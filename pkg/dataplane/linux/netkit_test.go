// SPDX-License-Identifier: Apache-2.0

package linux_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"calico-cni/internal/nettest"
	"calico-cni/pkg/dataplane"
	"calico-cni/pkg/dataplane/linux"
)

// kernelHasNetkit tries to create a netkit pair in a namespace of its own.
func kernelHasNetkit(t *testing.T) (has bool) {
	t.Helper()
	nettest.NewNetNS(t).Do(func() {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = "try0"
		err := netlink.LinkAdd(&netlink.Netkit{LinkAttrs: attrs})
		if err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
			t.Fatal(err)
		}
		has = err == nil
	})
	return has
}

func TestNetkitFallsBackToVeth(t *testing.T) {
	if kernelHasNetkit(t) {
		t.Skip("this kernel has netkit (CONFIG_NETKIT): the other netkit test runs")
	}
	node, pod := newNode(t), newPod(t)
	spec := specFor(pod, addr4, addr6)
	spec.Netkit = true
	if got := mustSetup(t, node, linux.New(""), spec); got.Kind != dataplane.Veth {
		t.Errorf("kind is %s, want veth", got.Kind)
	}
	golden(t, "dual.host", node)
	golden(t, "dual.pod", pod)
}

func TestNetkitInsteadOfVeth(t *testing.T) {
	if !kernelHasNetkit(t) {
		t.Skip("this kernel has no netkit (CONFIG_NETKIT, since 6.7): the other netkit test runs")
	}
	node, pod := newNode(t), newPod(t)
	before := state(t, node)
	d, spec := linux.New(""), specFor(pod, addr4, addr6)
	spec.Netkit = true
	got := mustSetup(t, node, d, spec)
	if got.Kind != dataplane.Netkit || got.MAC.String() != spec.MAC.String() || got.MTU != spec.MTU {
		t.Errorf("endpoint is %+v", got)
	}
	for ns, want := range map[*nettest.NetNS]string{
		node: "link " + hostIfName + " netkit up mtu=1440 queues=1/1 mac=ee:ee:ee:ee:ee:ee " +
			"alias=\"net.sandbox-1/eth0\"\n",
		pod: "link eth0 netkit up mtu=1440 queues=1/1 mac=02:00:00:00:00:07\n",
	} {
		if got := state(t, ns); !strings.Contains(got, want) {
			t.Errorf("want %q in:\n%s", want, got)
		}
	}
	if err := check(t, node, pod, spec); err != nil {
		t.Error(err)
	}
	client := netip.MustParseAddr("192.0.2.1")
	addLink(t, node, "uplink", client)
	exchange(t, place{node, client}, place{pod, addr4})
	node.Do(func() {
		link, err := netlink.LinkByName("uplink")
		must(t, err)
		must(t, netlink.LinkDel(link))
	})
	must(t, teardown(t, node, d, targetOf(spec)))
	wantSame(t, "host", before, node)
}
