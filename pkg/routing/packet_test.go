// SPDX-License-Identifier: Apache-2.0

package routing

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"calico-cni/pkg/model"
	"calico-cni/pkg/netstate"
)

// network has the states of all nodes and forwards packets between them, as the kernel would.
type network struct {
	world  *world
	states map[string]netstate.State
}

func (w *world) network() *network {
	n := &network{world: w, states: map[string]netstate.State{}}
	for _, node := range w.nodes {
		n.states[node.Name] = Compute(w.input(node.Name)).State
	}
	return n
}

// The ends of a packet that no node has received.
const (
	dropped = "dropped"
	left    = "left through the default route"
)

// send forwards a packet from a node to an address. It returns the name of the node that delivers the packet to a pod
// or to itself, dropped or left. An error is a violation of what must always hold.
func (n *network) send(from string, dst netip.Addr) (string, error) {
	at := from
	var path []string
	for range 16 {
		if n.isLocal(at, dst) {
			return at, nil
		}
		r, ok := lookUp(n.states[at].Routes, dst)
		switch {
		case !ok:
			return left, nil
		case r.Type == netstate.Blackhole:
			return dropped, nil
		case strings.HasPrefix(r.Dev, "cali"):
			return at, nil
		}
		path = append(path, at+": "+r.String())
		next, err := n.forward(at, r, dst)
		if err != nil || next == dropped {
			return next, err
		}
		at = next
	}
	return "", fmt.Errorf("the packet from %s to %s loops: %s", from, dst, strings.Join(path[:4], "; ")+"\n"+n.world.String())
}

// isLocal reports whether an address is one of the node itself.
func (n *network) isLocal(name string, dst netip.Addr) bool {
	node := n.world.node(name)
	if dst == node.IPv4.Addr.Addr() || dst == node.IPv6.Addr.Addr() {
		return true
	}
	return slices.ContainsFunc(n.states[name].Devices, func(d netstate.Device) bool { return d.Addr == dst })
}

// lookUp returns the route that the kernel takes: the longest, then the lowest metric.
func lookUp(routes []netstate.Route, dst netip.Addr) (best netstate.Route, ok bool) {
	for _, r := range routes {
		if !r.Dest.Contains(dst) {
			continue
		}
		if !ok || r.Dest.Bits() > best.Dest.Bits() || r.Dest.Bits() == best.Dest.Bits() && r.Metric < best.Metric {
			best, ok = r, true
		}
	}
	return best, ok
}

// forward carries a packet to the next node.
func (n *network) forward(at string, r netstate.Route, dst netip.Addr) (string, error) {
	family := familyOf(dst)
	self := n.world.node(at).In(family)
	if r.Dev == "eth0" {
		if !self.Addr.Masked().Contains(r.Via) {
			return "", fmt.Errorf("%s sends a packet to %s unencapsulated into another subnet, to %s", at, dst, r.Via)
		}
		return n.arrive(at, family, r.Via, nil)
	}
	i := slices.IndexFunc(n.states[at].Devices, func(d netstate.Device) bool { return d.Name == r.Dev })
	if i < 0 {
		return "", fmt.Errorf("%s: the route %s leads to no device", at, r)
	}
	dev := n.states[at].Devices[i]
	if dev.Kind == netstate.IPIP {
		return n.arrive(at, family, r.Via, &dev)
	}
	hop := r.Via
	if !hop.IsValid() {
		hop = dst
	}
	for _, neighbour := range n.states[at].Neighbours {
		if neighbour.Dev != dev.Name || neighbour.Addr != hop {
			continue
		}
		for _, e := range n.states[at].FDB {
			if e.Dev == dev.Name && e.MAC == neighbour.MAC {
				dev.VXLAN.MAC = e.MAC
				return n.arrive(at, family, e.Dst, &dev)
			}
		}
	}
	return "", fmt.Errorf("%s: no neighbour and FDB entry for %s on %s, for %s", at, hop, dev.Name, dst)
}

// arrive finds the node that has an address of the underlay. A tunnel packet must not enter a tunnel again, and the
// receiver must have the device and know the sender.
func (n *network) arrive(from string, f model.Family, to netip.Addr, dev *netstate.Device) (string, error) {
	switch r, ok := lookUp(n.states[from].Routes, to); {
	case ok && strings.HasPrefix(r.Dev, "cali"): // A pod has the address of a node.
		return dropped, nil
	case ok:
		return "", fmt.Errorf("%s: packets to node %s take the route %s", from, to, r)
	}
	sender := n.world.node(from).In(f).Addr.Addr()
	for i := range n.world.nodes {
		node := &n.world.nodes[i]
		if node.In(f).Addr.Addr() != to {
			continue
		}
		if node.Name == from {
			return "", fmt.Errorf("%s sends a packet to itself", from)
		}
		if dev == nil || n.accepts(node.Name, *dev, sender) {
			return node.Name, nil
		}
	}
	return dropped, nil
}

// accepts reports whether a node decapsulates packets of a sender.
func (n *network) accepts(name string, dev netstate.Device, sender netip.Addr) bool {
	state := n.states[name]
	return slices.ContainsFunc(state.Devices, func(d netstate.Device) bool {
		return d.Name == dev.Name && d.VXLAN.MAC == dev.VXLAN.MAC
	}) && slices.ContainsFunc(state.Filters, func(f netstate.TunnelFilter) bool {
		return f.Dev == dev.Name && slices.ContainsFunc(f.Senders, func(p netip.Prefix) bool { return p.Contains(sender) })
	})
}
