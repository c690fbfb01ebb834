// SPDX-License-Identifier: Apache-2.0

package link

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"calico-cni/pkg/agent/kernel/rtnl"
	"calico-cni/pkg/netstate"
)

// create creates a device. It is down.
func (n *Netlink) create(d netstate.Device) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU = d.Name, d.MTU
	if d.Kind == netstate.IPIP {
		err := n.handle.LinkAdd(&netlink.Iptun{LinkAttrs: attrs, PMtuDisc: 1})
		if errors.Is(err, unix.EEXIST) {
			// The request has loaded the module, and the module has created the device.
			return nil
		}
		return explainModule(err, "ipip")
	}
	vxlan := &netlink.Vxlan{
		LinkAttrs: attrs, VxlanId: d.VXLAN.VNI, Port: int(d.VXLAN.Port), SrcAddr: rtnl.IP(d.VXLAN.Local),
	}
	vxlan.HardwareAddr = d.VXLAN.MAC[:]
	if d.VXLAN.Parent != "" {
		parent, err := n.handle.LinkByName(d.VXLAN.Parent)
		if err != nil {
			return fmt.Errorf("look up parent %s: %w", d.VXLAN.Parent, err)
		}
		vxlan.VtepDevIndex = parent.Attrs().Index
	}
	err := n.handle.LinkAdd(vxlan)
	if errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("%w: another VXLAN device uses VNI %d and port %d: remove it (ip -d link show type vxlan), or set "+
			"another VNI or port in FelixConfiguration", err, d.VXLAN.VNI, d.VXLAN.Port)
	}
	return explainModule(err, "vxlan")
}

// explainModule adds the remedy to the error of a kernel that does not know a kind of device.
func explainModule(err error, module string) error {
	if errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("%w: the kernel lacks the module %s: load it (modprobe %s), or use another encapsulation", err,
			module, module)
	}
	return err
}
