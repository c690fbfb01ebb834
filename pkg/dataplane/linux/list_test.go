// SPDX-License-Identifier: Apache-2.0

package linux_test

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"calico-cni/internal/nettest"
	"calico-cni/pkg/dataplane/linux"
)

// listed returns the result of List, one attachment per line.
func listed(t *testing.T, node *nettest.NetNS) string {
	t.Helper()
	var b strings.Builder
	before := state(t, node)
	node.Do(func() {
		all, err := linux.New("").List(t.Context())
		must(t, err)
		for _, a := range all {
			fmt.Fprintf(&b, "%s of %s on %s: %s\n", a.IfName, a.Owner, a.HostIfName, a.Fault)
		}
	})
	wantSame(t, "host", before, node)
	return b.String()
}

func TestListFindsAttachmentsByMark(t *testing.T) {
	node, pod, bare, calicos := newNode(t), newPod(t), newPod(t), newPod(t)
	addSecond(t, node, pod)
	for name, p := range map[string]*nettest.NetNS{"cali000000bare0": bare, "cali0000calico0": calicos} {
		spec := specFor(p, second4.Next())
		spec.HostIfName, spec.NoHostRoutes = name, true
		mustSetup(t, node, linux.New(""), spec)
	}
	setAlias(t, node, "cali000000bare0", "sandbox-3")
	setAlias(t, node, "cali0000calico0", "")
	addPeers(t, node) // Has an alias of our form, but another MAC address.
	addLink(t, node, "bridge0")
	setAlias(t, node, "bridge0", "net.sandbox-4/eth0")
	node.Do(func() {
		link, err := netlink.LinkByName("bridge0")
		must(t, err)
		must(t, netlink.LinkSetHardwareAddr(link, net.HardwareAddr{0xee, 0xee, 0xee, 0xee, 0xee, 0xee}))
	})
	(&attachedPod{}).await(t, node, "bridge0", isDown)
	want := "eth0 of net.sandbox-1 on cali0123456789a: \n" +
		"net1 of net.sandbox-1 on cali9876543210f: \n"
	if diff := cmp.Diff(want, listed(t, node)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestListWithoutAttachments(t *testing.T) {
	if got := listed(t, newNode(t)); got != "" {
		t.Errorf("got %s", got)
	}
}

// Administrators disable forwarding with these writes, which change every interface.
func TestListReportsDisabledForwarding(t *testing.T) {
	const (
		fault4 = "net/ipv4/conf/cali0123456789a/forwarding is 0: something wrote 0 to net.ipv4.ip_forward; set " +
			"both to 1"
		fault6 = "net/ipv6/conf/cali0123456789a/forwarding is 0: something wrote 0 to net.ipv6.conf.all.forwarding; " +
			"set both to 1"
	)
	for _, family := range families {
		for _, c := range []struct {
			file string
			want map[string]string
		}{
			{"ipv4/ip_forward", map[string]string{"ipv4": fault4, "dual": fault4}},
			{"ipv6/conf/all/forwarding", map[string]string{"ipv6": fault6, "dual": fault6}},
		} {
			t.Run(c.file+" of "+family.name, func(t *testing.T) {
				node, pod := newNode(t), newPod(t)
				writeSysctl(t, node, c.file, "1")
				mustSetup(t, node, linux.New(""), specFor(pod, family.addrs...))
				want := "eth0 of net.sandbox-1 on cali0123456789a: "
				if got := listed(t, node); got != want+"\n" {
					t.Errorf("before: %s", got)
				}
				writeSysctl(t, node, c.file, "0")
				if diff := cmp.Diff(want+c.want[family.name]+"\n", listed(t, node)); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		}
	}
}
