// SPDX-License-Identifier: Apache-2.0

package link

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"calico-cni/pkg/agent/kernel/rtnl"
	"calico-cni/pkg/netstate"
)

// Netlink is the kernel of a network namespace.
type Netlink struct {
	handle *netlink.Handle
	// ioctls is a socket of the namespace.
	ioctls int
}

// Open opens the network namespace of the calling thread. The caller closes it.
func Open() (*Netlink, error) {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	ioctls, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		handle.Close()
		return nil, fmt.Errorf("open socket for ethtool: %w", err)
	}
	return &Netlink{handle: handle, ioctls: ioctls}, nil
}

// Close closes the sockets.
func (n *Netlink) Close() {
	n.handle.Close()
	unix.Close(n.ioctls)
}

// Read returns the devices with the given names.
func (n *Netlink) Read(names []string) (Actual, error) {
	actual := Actual{}
	for _, name := range names {
		link, err := n.handle.LinkByName(name)
		if rtnl.IsGone(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look up %s: %w", name, err)
		}
		found, err := n.found(link)
		switch {
		case rtnl.IsGone(err):
			continue
		case err != nil:
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		actual[name] = found
	}
	return actual, nil
}

// found returns a link as a device.
func (n *Netlink) found(link netlink.Link) (Found, error) {
	attrs := link.Attrs()
	f := Found{
		Device: netstate.Device{Name: attrs.Name, Kind: netstate.Kind(link.Type()), MTU: attrs.MTU},
		Up:     attrs.Flags&net.FlagUp != 0,
	}
	if vxlan, ok := link.(*netlink.Vxlan); ok {
		if err := n.readVXLAN(vxlan, &f); err != nil {
			return Found{}, err
		}
	}
	addrs, err := rtnl.Dump(func() ([]netlink.Addr, error) { return n.handle.AddrList(link, netlink.FAMILY_ALL) })
	if err != nil {
		return Found{}, fmt.Errorf("list addresses: %w", err)
	}
	for _, a := range addrs {
		if p := rtnl.Prefix(a.IPNet, 0); !p.Addr().IsLinkLocalUnicast() {
			f.Addrs = append(f.Addrs, p)
		}
	}
	return f, nil
}

// readVXLAN reads the parameters of a VXLAN device.
func (n *Netlink) readVXLAN(vxlan *netlink.Vxlan, f *Found) error {
	p := &f.Device.VXLAN
	p.VNI, p.Port, p.Local = vxlan.VxlanId, uint16(vxlan.Port), rtnl.Addr(vxlan.SrcAddr)
	copy(p.MAC[:], vxlan.HardwareAddr)
	if vxlan.VtepDevIndex != 0 {
		parent, err := n.handle.LinkByIndex(vxlan.VtepDevIndex)
		switch {
		case rtnl.IsGone(err):
		case err != nil:
			return fmt.Errorf("look up parent: %w", err)
		default:
			p.Parent = parent.Attrs().Name
		}
	}
	var other []string
	for name, set := range map[string]bool{
		"learning": vxlan.Learning, "proxy": vxlan.Proxy, "gbp": vxlan.GBP, "external": vxlan.FlowBased,
		"group": vxlan.Group != nil && !vxlan.Group.IsUnspecified(),
	} {
		if set {
			other = append(other, name)
		}
	}
	f.Other = strings.Join(other, ",")
	on, err := n.transmitChecksum(f.Device.Name)
	p.NoChecksumOffload = !on
	return err
}

// Write makes a change.
func (n *Netlink) Write(c Change) error {
	if c.Verb == Create {
		return n.create(c.Device)
	}
	if c.Verb == ChecksumOff {
		return n.turnOffTransmitChecksum(c.Device.Name)
	}
	link, err := n.handle.LinkByName(c.Device.Name)
	if err != nil {
		if c.Verb == Delete && rtnl.IsGone(err) {
			return nil
		}
		return err
	}
	switch c.Verb {
	case Delete:
		return n.handle.LinkDel(link)
	case SetMTU:
		err := n.handle.LinkSetMTU(link, c.Device.MTU)
		if errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("%w: the MTU must leave room for the outer headers in the MTU of %s", err, parentOf(c.Device))
		}
		return err
	case SetMAC:
		return n.handle.LinkSetHardwareAddr(link, c.Device.VXLAN.MAC[:])
	case SetUp:
		return n.handle.LinkSetUp(link)
	case AddAddr:
		return explainIPv6(c.Device.Name, c.Addr, n.handle.AddrReplace(link, address(c.Addr)))
	case DeleteAddr:
		err := n.handle.AddrDel(link, address(c.Addr))
		if errors.Is(err, unix.EADDRNOTAVAIL) {
			return nil
		}
		return err
	}
	return fmt.Errorf("unknown change %q", c.Verb)
}

func parentOf(d netstate.Device) string {
	if d.VXLAN.Parent == "" {
		return "the link of the node's address"
	}
	return d.VXLAN.Parent
}

// address returns an address in the form of the netlink package. Duplicate address detection is off: the address is
// allocated to this node.
func address(p netip.Prefix) *netlink.Addr {
	a := &netlink.Addr{IPNet: rtnl.IPNet(p)}
	if p.Addr().Is6() {
		a.Flags = unix.IFA_F_NODAD
	}
	return a
}

// explainIPv6 adds the cause to an error of adding an IPv6 address.
func explainIPv6(name string, p netip.Prefix, err error) error {
	if p.Addr().Is6() && (errors.Is(err, unix.EACCES) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENODEV)) {
		return fmt.Errorf("%w: IPv6 is disabled on %s: the MTU must be at least 1280, and the sysctl disable_ipv6 must be 0",
			err, name)
	}
	return err
}
