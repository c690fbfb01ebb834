// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"bytes"
	"fmt"
	"net"

	"calico-cni/pkg/dataplane"
)

func (c *check) checkHostLink() error {
	if c.hostLink == nil {
		c.differs(c.hostThing(), "present", "absent")
		return nil
	}
	host := c.hostLink.Attrs()
	// Calico sets no alias.
	if want := markOf(c.spec).String(); host.Alias != "" && host.Alias != want {
		c.differs(c.hostThing(), "mark "+want, fmt.Sprintf("%q", host.Alias))
	}
	if host.Flags&net.FlagUp == 0 {
		c.differs(c.hostThing(), "up", "down")
	}
	if !bytes.Equal(host.HardwareAddr, hostMAC) {
		c.differs(c.hostThing(), "MAC "+hostMAC.String(), host.HardwareAddr.String())
	}
	if c.spec.MTU != 0 && host.MTU != c.spec.MTU {
		c.differs(c.hostThing(), fmt.Sprintf("MTU %d", c.spec.MTU), fmt.Sprint(host.MTU))
	}
	if uses6(c.spec) && !c.ns.host.receives(gateway6, host.Index) {
		c.differs(fmt.Sprintf("address %s on %s", gateway6, host.Name), "usable", "absent or not usable")
	}
	return nil
}

func (c *check) checkSysctls() error {
	if c.hostLink == nil {
		return nil
	}
	for _, want := range hostSysctls(c.spec) {
		if want.optional {
			continue
		}
		now, err := c.sysctls.read([]sysctl{want})
		if err != nil {
			return err
		}
		if now[0].value != want.value {
			c.differs("sysctl "+want.file, want.value, now[0].value)
		}
	}
	return nil
}

func (c *check) checkHostRoutes() error {
	if c.spec.NoHostRoutes || c.hostLink == nil {
		return nil
	}
	for _, addr := range c.spec.Addrs {
		conflict, err := c.ns.host.conflictAt(addr, c.hostLink.Attrs().Index)
		if err != nil {
			return err
		}
		if conflict == nil {
			continue
		}
		is := conflict.Route
		if conflict.Cause == dataplane.NoRoute {
			is = "absent"
		}
		c.differs("host route "+single(addr).String(), "through "+c.spec.HostIfName, is)
	}
	return nil
}
