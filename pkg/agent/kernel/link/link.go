// SPDX-License-Identifier: Apache-2.0

// Package link keeps the tunnel devices of a node in the desired state.
//
// Three names belong to the agent: vxlan.calico, vxlan-v6.calico and tunl0. A device with such a name but of another
// kind is left alone and reported. MTU, MAC address, addresses and the administrative state change in place; a VXLAN
// device with any other difference is deleted and created again. tunl0 cannot be deleted: it loses its addresses.
package link

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"calico-cni/pkg/agent/kernel"
	"calico-cni/pkg/netstate"
)

// The names of the devices that belong to the agent. Calico uses the same.
const (
	VXLANv4 = "vxlan.calico"
	VXLANv6 = "vxlan-v6.calico"
	IPIPv4  = "tunl0"
)

// owned are the devices of the agent with their kinds.
var owned = map[string]netstate.Kind{VXLANv4: netstate.VXLAN, VXLANv6: netstate.VXLAN, IPIPv4: netstate.IPIP}

// Names returns the names of the agent's devices, sorted.
func Names() []string { return []string{IPIPv4, VXLANv6, VXLANv4} }

// Found is a device as the kernel has it.
type Found struct {
	// Device has the values that the kernel uses. Its Addr is zero: see Addrs. NoChecksumOffload is true if the transmit
	// checksum offload is off.
	Device netstate.Device
	// Other says what is set that the agent never sets, such as "learning". The device has to be created again.
	Other string
	Up    bool
	// Addrs are the addresses that are not link-local.
	Addrs []netip.Prefix
}

// Actual is the state of the kernel: the devices with the names of the agent's.
type Actual map[string]Found

// Kernel reads and writes tunnel devices.
type Kernel interface {
	// Read returns the devices with the given names.
	Read(names []string) (Actual, error)
	Write(change Change) error
}

// Driver keeps tunnel devices in the desired state.
type Driver struct{ Kernel Kernel }

// Apply brings the devices to the desired state. Devices of the agent that are not desired are removed.
func (d Driver) Apply(ctx context.Context, desired []netstate.Device) kernel.Report {
	actual, err := d.Kernel.Read(Names())
	if err != nil {
		return kernel.Failed("read tunnel devices", err)
	}
	return kernel.Execute(ctx, Diff(actual, desired), d.Kernel.Write)
}

// Diff returns what has to change. It has no effects.
func Diff(actual Actual, desired []netstate.Device) (plan kernel.Plan[Change]) {
	wanted := map[string]netstate.Device{}
	for _, want := range desired {
		wanted[want.Name] = want
	}
	for _, name := range Names() {
		found, exists := actual[name]
		want, isWanted := wanted[name]
		switch {
		case !isWanted && exists && found.Device.Kind == owned[name]:
			plan.Changes = append(plan.Changes, remove(found)...)
		case !isWanted:
		case want.Kind != owned[name]:
			plan.Faults = append(plan.Faults, fmt.Errorf("device %s: it cannot have the kind %s", name, want.Kind))
		case exists && found.Device.Kind != want.Kind:
			plan.Faults = append(plan.Faults, fmt.Errorf("device %s: another program has created a device of kind %s with "+
				"this name: remove it (ip link delete %s)", name, found.Device.Kind, name))
		default:
			plan.Changes = append(plan.Changes, converge(found, exists, want)...)
		}
		delete(wanted, name)
	}
	for _, want := range desired {
		if _, unknown := wanted[want.Name]; unknown {
			plan.Faults = append(plan.Faults, fmt.Errorf("device %s: the agent does not own this name", want.Name))
		}
	}
	return plan
}

// remove returns the changes that remove a device.
func remove(found Found) (changes []Change) {
	if found.Device.Kind == netstate.VXLAN {
		return []Change{{Verb: Delete, Device: found.Device}}
	}
	for _, addr := range found.Addrs {
		changes = append(changes, Change{Verb: DeleteAddr, Device: found.Device, Addr: addr})
	}
	return changes
}

// converge returns the changes that bring one device to the desired state.
func converge(found Found, exists bool, want netstate.Device) (changes []Change) {
	change := func(v Verb, addr netip.Prefix) {
		changes = append(changes, Change{Verb: v, Device: want, Addr: addr})
	}
	if exists && (found.Other != "" || immutable(found.Device) != immutable(want)) {
		change(Delete, netip.Prefix{})
		exists = false
	}
	if !exists {
		change(Create, netip.Prefix{})
		found = Found{Device: want}
		found.Device.VXLAN.NoChecksumOffload = false
	}
	if found.Device.MTU != want.MTU {
		change(SetMTU, netip.Prefix{})
	}
	if found.Device.VXLAN.MAC != want.VXLAN.MAC {
		change(SetMAC, netip.Prefix{})
	}
	// The offload is never turned on again: an administrator may have turned it off.
	if want.VXLAN.NoChecksumOffload && !found.Device.VXLAN.NoChecksumOffload {
		change(ChecksumOff, netip.Prefix{})
	}
	addr := single(want.Addr)
	if want.Addr.IsValid() && !slices.Contains(found.Addrs, addr) {
		change(AddAddr, addr)
	}
	for _, other := range found.Addrs {
		if other != addr {
			change(DeleteAddr, other)
		}
	}
	if !found.Up {
		change(SetUp, netip.Prefix{})
	}
	return changes
}

// immutable returns the parameters that cannot change in place.
func immutable(d netstate.Device) netstate.VXLANParams {
	p := d.VXLAN
	p.MAC, p.NoChecksumOffload = netstate.MAC{}, false
	return p
}

// single returns the prefix that contains one address only, the zero value for none.
func single(a netip.Addr) netip.Prefix {
	if !a.IsValid() {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(a, a.BitLen())
}
