// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"testing"

	"github.com/vishvananda/netlink"
)

// TestDelRemovesUnmarkedInterfaceOnlyForItsContainer passes the namespace of a running pod for another container, like
// a path /proc/<pid>/ns/net whose process ID has been reused. Interfaces of Calico have no alias.
func TestDelRemovesUnmarkedInterfaceOnlyForItsContainer(t *testing.T) {
	p, other := newPod(t, "reused"), newPod(t, "reused-other")
	hostIfName := add(t, p, nil).Interfaces[0].Name
	link, err := netlink.LinkByName(hostIfName)
	must(t, err)
	must(t, netlink.LinkSetAlias(link, ""))

	for name, delete := range map[string]func() int{
		"another pod": func() int { return call(t, "DEL", other, nil, "CNI_NETNS", p.NetNS).Exit },
		"another container of the pod": func() int {
			return call(t, "DEL", p, nil, "CNI_CONTAINERID", "sandbox-reused-older").Exit
		},
	} {
		if exit := delete(); exit != 0 {
			t.Errorf("DEL for %s exits %d", name, exit)
		}
		if now, err := netlink.LinkByName(hostIfName); err != nil || now.Attrs().Index != link.Attrs().Index {
			t.Fatalf("DEL for %s removed the interface of a running pod: %v", name, err)
		}
	}
	if a := del(t, p, nil); a.Exit != 0 {
		t.Errorf("DEL: %+v", a)
	}
	if _, err := netlink.LinkByName(hostIfName); err == nil {
		t.Error("DEL for the container itself left its interface")
	}
}
