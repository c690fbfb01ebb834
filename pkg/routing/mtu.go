// SPDX-License-Identifier: Apache-2.0

package routing

import (
	"cmp"
	"fmt"
	"net/netip"

	"calico-cni/pkg/model"
	"calico-cni/pkg/netstate"
)

// Sizes in bytes.
const (
	// vxlanOverhead and ipipOverhead are the headers that a tunnel over IPv4 adds. IPv6 adds 20 more.
	vxlanOverhead = 50
	ipipOverhead  = 20
	// minMTUv4 and minMTUv6 are the smallest MTUs with which a link carries a family.
	minMTUv4 = 68
	minMTUv6 = 1280
	// unknownHostMTU is assumed if no link is known. It fits most clouds.
	unknownHostMTU = 1460
)

// MTU is the MTU of pods, and what decides it.
type MTU struct {
	// Pods is in bytes.
	Pods int
	// Link is the link of the host with the smallest MTU. It is empty if no link is known.
	Link string
	// Tunnel is the device whose MTU is that of pods. It is empty if no tunnel lowers it.
	Tunnel string
}

// findHostMTU finds the link with the smallest MTU.
func (c *computation) findHostMTU() {
	for _, l := range append([]Link{c.in.IPv4, c.in.IPv6}, c.in.Links...) {
		if l.MTU <= 0 {
			continue
		}
		if c.host.MTU == 0 || cmp.Or(cmp.Compare(l.MTU, c.host.MTU), cmp.Compare(l.Name, c.host.Name)) < 0 {
			c.host = l
		}
	}
	if c.host.MTU == 0 {
		c.host = Link{MTU: unknownHostMTU}
	}
	c.out.MTU = MTU{Pods: c.host.MTU, Link: c.host.Name}
}

// tunnelMTU returns the MTU of a tunnel device. It returns false and reports it if the family does not work with this
// MTU. Otherwise it lowers the MTU of pods.
func (f *family) tunnelMTU(t tunnel) (int, bool) {
	mtu := cmp.Or(t.configuredMTU, f.c.host.MTU-t.overhead)
	if mtu < f.minMTU() {
		f.c.find(model.KindNode, f.c.in.Node, "", fmt.Sprintf("%s is off: its MTU would be %d, and %s needs %d",
			t.dev, mtu, f.f, f.minMTU()), f.raiseMTU(t))
		return 0, false
	}
	if mtu < f.c.out.MTU.Pods {
		f.c.out.MTU.Pods, f.c.out.MTU.Tunnel = mtu, t.dev
	}
	return mtu, true
}

// raiseMTU says which MTU is too small.
func (f *family) raiseMTU(t tunnel) string {
	if t.configuredMTU != 0 {
		return "raise the configured MTU of " + t.dev
	}
	return fmt.Sprintf("raise the MTU %d of link %s", f.c.host.MTU, f.c.host.Name)
}

func (f *family) minMTU() int {
	if f.f == model.IPv6 {
		return minMTUv6
	}
	return minMTUv4
}

// checkPodMTU reports an MTU of pods that is too small for IPv6.
func (c *computation) checkPodMTU() {
	if c.out.MTU.Pods >= minMTUv6 || !c.in.Config.IPv6 {
		return
	}
	for i := range c.in.Pools {
		if p := &c.in.Pools[i]; p.CIDR.IsValid() && p.Family() == model.IPv6 {
			c.find(model.KindNode, c.in.Node, "", fmt.Sprintf("the MTU of pods is %d: IPv6 needs %d", c.out.MTU.Pods, minMTUv6),
				"raise the MTU of the links, or set ipv6Support to false")
			return
		}
	}
}

// tunnel is a tunnel device that a family may need.
type tunnel struct {
	dev           string
	kind          netstate.Kind
	overhead      int
	configuredMTU int
	force         Switch
	// option is the field of FelixConfiguration that forces the tunnel on or off.
	option string
	addr   netip.Addr
	// mode returns how a pool uses the tunnel.
	mode func(*model.Pool) model.Mode
}
