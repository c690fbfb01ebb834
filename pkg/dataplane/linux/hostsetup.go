// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"calico-cni/internal/undo"
	"calico-cni/pkg/dataplane"
)

// hostSetup configures the host's end of the pair and the routes to the pod.
type hostSetup struct {
	spec    dataplane.Spec
	sysctls sysctlTree
	ns      pair
	undo    *undo.Stack
	link    netlink.Link // Set once the pair exists.
}

// removeStale deletes an interface with the name of the host's end, unless its peer is in this pod.
func (h *hostSetup) removeStale() error {
	link, err := h.ns.host.linkByName(h.spec.HostIfName)
	if err != nil || link == nil {
		return err
	}
	podEnd, err := h.ns.podEndOf(link)
	if err != nil {
		return err
	}
	if podEnd != nil {
		return fmt.Errorf("%w: %s on the host belongs to %s of the same pod: remove that interface first",
			dataplane.ErrIfNameTaken, h.spec.HostIfName, podEnd.Attrs().Name)
	}
	return h.ns.host.deleteLink(link)
}

// markOwner sets the alias and then resets the group that represented it.
func (h *hostSetup) markOwner() error {
	alias := markOf(h.spec).String()
	if err := h.ns.host.LinkSetAlias(h.link, alias); err != nil {
		return fmt.Errorf("set alias of %s to %s: %w", h.spec.HostIfName, alias, err)
	}
	if err := h.ns.host.LinkSetGroup(h.link, 0); err != nil {
		return fmt.Errorf("reset group of %s: %w", h.spec.HostIfName, err)
	}
	return nil
}

// setSysctls runs before the link is up, and therefore before duplicate address detection can start.
func (h *hostSetup) setSysctls() error {
	return h.sysctls.set(hostSysctls(h.spec))
}

// addGateway adds the pod's IPv6 gateway explicitly, because the kernel creates it only if addr_gen_mode is EUI-64.
func (h *hostSetup) addGateway() error {
	if !uses6(h.spec) {
		return nil
	}
	addr := &netlink.Addr{IPNet: prefix(gateway6, 64), Flags: unix.IFA_F_NODAD}
	if err := h.ns.host.AddrReplace(h.link, addr); err != nil {
		return fmt.Errorf("add address %s to %s: %w", addr.IPNet, h.spec.HostIfName,
			explainIPv6(err, h.spec.HostIfName))
	}
	return nil
}
