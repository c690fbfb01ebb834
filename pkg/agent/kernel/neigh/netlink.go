// SPDX-License-Identifier: Apache-2.0

package neigh

import (
	"errors"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"calico-cni/pkg/agent/kernel/rtnl"
	"calico-cni/pkg/netstate"
)

// Netlink is the kernel of a network namespace.
type Netlink struct {
	handle *netlink.Handle
	// indexes has the devices of the last Read. A write to a device that has been created again since fails.
	indexes map[string]int
}

// Open opens the network namespace of the calling thread. The caller closes it.
func Open() (*Netlink, error) {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	return &Netlink{handle: handle}, nil
}

// Close closes the sockets.
func (n *Netlink) Close() { n.handle.Close() }

// Read returns the permanent entries of the devices with the given names.
func (n *Netlink) Read(devices []string) (Actual, error) {
	actual := Actual{Up: map[string]bool{}}
	n.indexes = map[string]int{}
	for _, name := range devices {
		link, err := n.handle.LinkByName(name)
		if rtnl.IsGone(err) {
			continue
		}
		if err != nil {
			return Actual{}, fmt.Errorf("look up %s: %w", name, err)
		}
		if _, isVXLAN := link.(*netlink.Vxlan); !isVXLAN {
			continue
		}
		n.indexes[name] = link.Attrs().Index
		actual.Up[name] = link.Attrs().Flags&net.FlagUp != 0
		if err := n.readDevice(link, &actual); err != nil {
			return Actual{}, err
		}
	}
	return actual, nil
}

// readDevice adds the entries of a device.
func (n *Netlink) readDevice(link netlink.Link, actual *Actual) error {
	name, index := link.Attrs().Name, link.Attrs().Index
	for _, family := range []int{unix.AF_INET, unix.AF_INET6, unix.AF_BRIDGE} {
		entries, err := rtnl.Dump(func() ([]netlink.Neigh, error) { return n.handle.NeighList(index, family) })
		if err != nil {
			return fmt.Errorf("list neighbours of %s: %w", name, err)
		}
		for _, e := range entries {
			addr, mac := rtnl.Addr(e.IP), netstate.MAC{}
			if e.State&netlink.NUD_PERMANENT == 0 || !addr.IsValid() {
				continue
			}
			copy(mac[:], e.HardwareAddr)
			if family == unix.AF_BRIDGE {
				actual.FDB = append(actual.FDB, netstate.FDBEntry{Dev: name, MAC: mac, Dst: addr})
				continue
			}
			actual.Neighbours = append(actual.Neighbours, netstate.Neighbour{Dev: name, Addr: addr, MAC: mac})
		}
	}
	return nil
}

// Write makes a change.
func (n *Netlink) Write(c Change) error {
	entry := &netlink.Neigh{State: netlink.NUD_PERMANENT}
	dev := c.Neighbour.Dev
	if c.FDB.Dev != "" {
		dev = c.FDB.Dev
		entry.Family, entry.Flags = unix.AF_BRIDGE, netlink.NTF_SELF
		entry.IP, entry.HardwareAddr = rtnl.IP(c.FDB.Dst), c.FDB.MAC[:]
	} else {
		entry.IP, entry.HardwareAddr = rtnl.IP(c.Neighbour.Addr), c.Neighbour.MAC[:]
	}
	index, known := n.indexes[dev]
	if !known {
		return unix.ENODEV
	}
	entry.LinkIndex = index
	if c.Verb == Set {
		return n.handle.NeighSet(entry)
	}
	err := n.handle.NeighDel(entry)
	if errors.Is(err, unix.ENOENT) || rtnl.IsGone(err) {
		return nil
	}
	return err
}
