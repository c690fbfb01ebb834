// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// bridge connects the nodes in the sandbox.
const bridge = "nodes"

// makeNetwork creates the bridge with the host's addresses.
func makeNetwork() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find lo: %w", err)
	}
	link := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridge, MTU: 1500}}
	if err := netlink.LinkAdd(link); err != nil {
		return fmt.Errorf("create bridge: %w", err)
	}
	for _, up := range []netlink.Link{lo, link} {
		if err := netlink.LinkSetUp(up); err != nil {
			return fmt.Errorf("set %s up: %w", up.Attrs().Name, err)
		}
	}
	for _, prefix := range []netip.Prefix{netip.PrefixFrom(Host4, 24), netip.PrefixFrom(Host6, 64)} {
		addr, err := netlink.ParseAddr(prefix.String())
		if err != nil {
			return err
		}
		if prefix.Addr().Is6() {
			addr.Flags = unix.IFA_F_NODAD
		}
		if err := netlink.AddrAdd(link, addr); err != nil {
			return fmt.Errorf("add %s to bridge: %w", prefix, err)
		}
	}
	// The nodes filter their own frames. These files are absent if the kernel has no bridge filter.
	for _, name := range []string{"iptables", "ip6tables"} {
		file := "/proc/sys/net/bridge/bridge-nf-call-" + name
		if err := os.WriteFile(file, []byte("0"), 0o644); err != nil && !os.IsNotExist(err) {
			return fmt.Errorf("disable bridge filter: %w", err)
		}
	}
	return nil
}
