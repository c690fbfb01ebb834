// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"slices"

	"golang.org/x/sys/unix"

	"calico-cni/pkg/agent/kernel/link"
	"calico-cni/pkg/netstate"
)

// Links is the part of the kernel that the link driver uses.
type Links struct{ k *Kernel }

// Links returns the part of the kernel that the link driver uses.
func (k *Kernel) Links() Links { return Links{k} }

// Read returns the devices with the given names.
func (l Links) Read(names []string) (link.Actual, error) {
	actual := link.Actual{}
	for _, name := range names {
		if d := l.k.links[name]; d != nil {
			f := d.found
			f.Addrs = slices.Clone(f.Addrs)
			actual[name] = f
		}
	}
	return actual, nil
}

// Write makes a change.
func (l Links) Write(c link.Change) error {
	if c.Verb == link.Create {
		return l.create(c.Device)
	}
	d := l.k.links[c.Device.Name]
	if d == nil {
		return unix.ENODEV
	}
	switch c.Verb {
	case link.Delete:
		if d.found.Device.Kind == netstate.IPIP {
			return unix.EOPNOTSUPP // The module's own device.
		}
		l.k.DeleteLink(c.Device.Name)
	case link.SetMTU:
		if c.Device.MTU > l.maxMTU(d.found.Device) {
			return unix.EINVAL
		}
		d.found.Device.MTU = c.Device.MTU
	case link.SetMAC:
		d.found.Device.VXLAN.MAC = c.Device.VXLAN.MAC
	case link.SetUp:
		l.k.SetUp(c.Device.Name)
	case link.ChecksumOff:
		d.found.Device.VXLAN.NoChecksumOffload = true
	case link.AddAddr:
		return l.k.AddAddr(c.Device.Name, c.Addr)
	case link.DeleteAddr:
		if !slices.Contains(d.found.Addrs, c.Addr) {
			return unix.EADDRNOTAVAIL
		}
		l.k.deleteAddr(c.Device.Name, c.Addr)
	default:
		return unix.EINVAL
	}
	return nil
}

// create adds a device that is down.
func (l Links) create(want netstate.Device) error {
	switch {
	case !slices.Contains(l.k.Modules, want.Kind):
		return unix.EOPNOTSUPP
	case l.k.links[want.Name] != nil:
		return unix.EEXIST
	case want.VXLAN.Parent != "" && l.k.links[want.VXLAN.Parent] == nil:
		return unix.ENODEV
	}
	for _, d := range l.k.links {
		v := d.found.Device.VXLAN
		if d.found.Device.Kind == netstate.VXLAN && want.Kind == netstate.VXLAN && v.VNI == want.VXLAN.VNI &&
			v.Port == want.VXLAN.Port && v.Local.Is6() == want.VXLAN.Local.Is6() {
			return unix.EEXIST
		}
	}
	l.k.AddLink(want.Name, want.Kind)
	f := &l.k.links[want.Name].found
	f.Device.VXLAN = want.VXLAN
	f.Device.VXLAN.NoChecksumOffload = false
	f.Device.MTU = min(want.MTU, l.maxMTU(f.Device))
	return nil
}

// The sizes of the outer headers of VXLAN.
const (
	vxlanOverhead4 = 50
	vxlanOverhead6 = 70
	mostMTU        = 65535
)

// maxMTU returns the largest MTU that the kernel accepts.
func (l Links) maxMTU(d netstate.Device) int {
	parent := l.k.links[d.VXLAN.Parent]
	switch {
	case parent == nil:
		return mostMTU
	case d.VXLAN.Local.Is6():
		return parent.found.Device.MTU - vxlanOverhead6
	}
	return parent.found.Device.MTU - vxlanOverhead4
}
