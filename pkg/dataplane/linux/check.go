// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"calico-cni/pkg/dataplane"
)

// check is one run of Check.
type check struct {
	spec    dataplane.Spec
	sysctls sysctlTree
	ns      pair

	podLink, hostLink netlink.Link // Nil if absent.
	differences       []string
}

// Check looks interfaces up by name and index and does not list those of the host. It takes no snapshot: it may report
// a concurrent change as a difference.
func (d *DataPlane) Check(ctx context.Context, spec dataplane.Spec) error {
	if err := validate(spec); err != nil {
		return err
	}
	ns, err := openPair(spec.NetNS)
	if err != nil {
		return err
	}
	defer ns.close()
	c := check{spec: spec, sysctls: d.sysctls, ns: ns}
	for _, step := range []step{
		{"find interfaces", c.findLinks},
		{"check pod interface", c.checkPodLink},
		{"check addresses of pod", c.checkAddrs},
		{"check routes of pod", c.checkPodRoutes},
		{"check host interface", c.checkHostLink},
		{"check sysctls of host interface", c.checkSysctls},
		{"check routes of host", c.checkHostRoutes},
	} {
		if err := ended(ctx, step.name); err != nil {
			return err
		}
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	if len(c.differences) > 0 {
		return fmt.Errorf("%w: %s; delete the pod, so that it gets a new sandbox", dataplane.ErrBroken,
			strings.Join(c.differences, "; "))
	}
	return nil
}

// differs records a difference between the wanted and the actual state of thing.
func (c *check) differs(thing, want, is string) {
	c.differences = append(c.differences, thing+": want "+want+", is "+is)
}

func (c *check) findLinks() (err error) {
	if c.spec.HostIfName, err = c.hostIfName(); err != nil {
		return err
	}
	if c.podLink, err = c.ns.pod.linkByName(c.spec.IfName); err != nil {
		return err
	}
	c.hostLink, err = c.ns.host.linkByName(c.spec.HostIfName)
	return err
}

// hostIfName returns the name that carries the mark. It returns the second name if another interface of the owner has
// the first.
func (c *check) hostIfName() (string, error) {
	first, second := c.spec.HostIfName, c.spec.SecondHostIfName
	if second == "" {
		return first, nil
	}
	var found [2]mark
	for i, name := range []string{first, second} {
		link, err := c.ns.host.linkByName(name)
		if err != nil {
			return "", err
		}
		if link != nil {
			found[i], _ = parseMark(link.Attrs().Alias)
		}
	}
	want := markOf(c.spec)
	if found[0] != want && (found[1] == want || found[0].owner == want.owner) {
		return second, nil
	}
	return first, nil
}

func (c *check) podThing() string  { return "pod interface " + c.spec.IfName }
func (c *check) hostThing() string { return "host interface " + c.spec.HostIfName }

func (c *check) checkPodLink() error {
	if c.podLink == nil {
		c.differs(c.podThing(), "present", "absent")
		return nil
	}
	pod := c.podLink.Attrs()
	if c.hostLink != nil {
		host := c.hostLink.Attrs()
		if !isPair(c.podLink) || pod.ParentIndex != host.Index || host.ParentIndex != pod.Index {
			c.differs(c.podThing(), "the peer of "+host.Name, "an unrelated "+c.podLink.Type())
		}
	}
	if pod.Flags&net.FlagUp == 0 {
		c.differs(c.podThing(), "up", "down")
	}
	if c.spec.MAC != nil && !bytes.Equal(pod.HardwareAddr, c.spec.MAC) {
		c.differs(c.podThing(), "MAC "+c.spec.MAC.String(), pod.HardwareAddr.String())
	}
	if c.spec.MTU != 0 && pod.MTU > c.spec.MTU {
		c.differs(c.podThing(), fmt.Sprintf("MTU %d at most", c.spec.MTU), fmt.Sprint(pod.MTU))
	}
	return nil
}

func (c *check) checkAddrs() error {
	if c.podLink == nil {
		return nil
	}
	there, err := c.ns.pod.addrsOf(c.podLink)
	if err != nil {
		return err
	}
	for _, addr := range c.spec.Addrs {
		thing := fmt.Sprintf("address %s on %s", addr, c.spec.IfName)
		flags, ok := there[addr]
		switch {
		case !ok:
			c.differs(thing, "present", "absent")
		case flags&unix.IFA_F_DADFAILED != 0:
			c.differs(thing, "usable", "a duplicate of an address of another host (dadfailed)")
		case flags&unix.IFA_F_TENTATIVE != 0:
			c.differs(thing, "usable", "tentative")
		}
	}
	return nil
}

// checkPodRoutes accepts a route in any table, because source-based routing moves routes to a separate table.
func (c *check) checkPodRoutes() error {
	if c.podLink == nil {
		return nil
	}
	for _, want := range podRoutes(c.spec, c.podLink.Attrs().Index) {
		there, err := c.ns.pod.hasRoute(want)
		if err != nil {
			return err
		}
		if there {
			continue
		}
		through := "through " + c.spec.IfName
		if want.Gw != nil {
			through = "via " + want.Gw.String() + " " + through
		}
		c.differs("pod route "+want.Dst.String(), through, "absent")
	}
	return nil
}
