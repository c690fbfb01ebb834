// SPDX-License-Identifier: Apache-2.0

package link

import (
	"fmt"
	"net/netip"

	"calico-cni/pkg/netstate"
)

// Verb says what a change does.
type Verb string

// The changes of a device. Each is one request to the kernel.
const (
	Create      Verb = "create"
	Delete      Verb = "delete"
	SetMTU      Verb = "set MTU of"
	SetMAC      Verb = "set MAC address of"
	SetUp       Verb = "set up"
	ChecksumOff Verb = "turn off checksum offload of"
	AddAddr     Verb = "add address to"
	DeleteAddr  Verb = "delete address from"
)

// Change is one change of a device.
type Change struct {
	Verb Verb
	// Device has the desired values. Only its name and kind matter for a deletion.
	Device netstate.Device
	// Addr is set for AddAddr and DeleteAddr.
	Addr netip.Prefix
}

// Object returns the name of the device.
func (c Change) Object() string { return c.Device.Name }

// String returns the change for messages.
func (c Change) String() string {
	s := fmt.Sprintf("%s %s", c.Verb, c.Device.Name)
	switch {
	case c.Verb == SetMTU:
		return fmt.Sprintf("%s to %d", s, c.Device.MTU)
	case c.Verb == SetMAC:
		return fmt.Sprintf("%s to %s", s, c.Device.VXLAN.MAC)
	case c.Addr.IsValid():
		return fmt.Sprintf("%s: %s", s, c.Addr)
	}
	return s
}
