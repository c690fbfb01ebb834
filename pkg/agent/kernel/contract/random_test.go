// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"

	"calico-cni/pkg/agent/kernel/link"
	"calico-cni/pkg/agent/kernel/neigh"
	"calico-cni/pkg/agent/kernel/route"
	"calico-cni/pkg/netstate"
)

// someOf returns one of the values.
func someOf[T any](r *rand.Rand, values ...T) T { return values[r.IntN(len(values))] }

// node returns the address of another node, its tunnel address, and its MAC address.
func node(i int, v6 bool) (addr, vtep netip.Addr, mac netstate.MAC) {
	mac = netstate.MAC{0x66, 0, 0, 0, 0, byte(i)}
	if v6 {
		return netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", 0x20+i)), netip.MustParseAddr(fmt.Sprintf("fd00:1::%x:0", i+1)), mac
	}
	return netip.AddrFrom4([4]byte{198, 18, 0, byte(20 + i)}), netip.AddrFrom4([4]byte{10, 1, byte(i + 1), 0}), mac
}

// randomState returns a state that a cluster could have. Small value ranges make two states overlap.
func randomState(r *rand.Rand, ipip bool) (s netstate.State) { return randomRoutes(r, r, ipip) }

// randomRoutes returns such a state. Equal sources for devices lead to equal devices.
func randomRoutes(r, devices *rand.Rand, ipip bool) (s netstate.State) {
	for _, v6 := range []bool{false, true} {
		tunnel := randomDevice(devices, v6, ipip)
		if tunnel.Name != "" {
			s.Devices = append(s.Devices, tunnel)
		}
		for i := range 5 {
			addRemote(r, &s, tunnel, i, v6)
		}
		addLocal(r, &s, v6)
	}
	return s
}

func randomDevice(r *rand.Rand, v6, ipip bool) netstate.Device {
	d := netstate.Device{Name: link.VXLANv4, Kind: netstate.VXLAN, MTU: someOf(r, 1400, 1420), VXLAN: netstate.VXLANParams{
		VNI: someOf(r, 4096, 4097), Port: someOf[uint16](r, 4789, 8472), Parent: parent, MAC: netstate.MAC{0x66, 1, 1, 1, 1, byte(r.IntN(2))},
		Local: netip.AddrFrom4([4]byte{198, 18, 0, someOf[byte](r, 11, 12)}), NoChecksumOffload: r.IntN(4) == 0,
	}, Addr: netip.AddrFrom4([4]byte{10, 1, 0, byte(r.IntN(2))})}
	switch {
	case v6 && r.IntN(2) == 0:
		return netstate.Device{}
	case v6:
		d.Name = link.VXLANv6
		d.VXLAN.Local, d.Addr = netip.MustParseAddr("2001:db8::11"), netip.MustParseAddr(someOf(r, "fd00:1::", "fd00:1::1"))
	case ipip && r.IntN(2) == 0:
		return netstate.Device{Name: link.IPIPv4, Kind: netstate.IPIP, MTU: someOf(r, 1400, 1480), Addr: d.Addr}
	}
	return d
}

// addRemote adds what one other node needs.
func addRemote(r *rand.Rand, s *netstate.State, tunnel netstate.Device, i int, v6 bool) {
	addr, vtep, mac := node(i, v6)
	bits := 26
	if v6 {
		bits = 122
	}
	block := netip.PrefixFrom(vtep, bits)
	switch how := r.IntN(4); {
	case how == 0:
	case how == 1 || tunnel.Name == "":
		s.Routes = append(s.Routes, netstate.Route{
			Dest: block, Type: netstate.Unicast, Dev: parent, Via: addr, OnLink: true, Protocol: netstate.ProtocolCalico,
		})
	case tunnel.Kind == netstate.IPIP:
		s.Routes = append(s.Routes, netstate.Route{
			Dest: block, Type: netstate.Unicast, Dev: tunnel.Name, Via: addr, OnLink: true, MTU: tunnel.MTU,
			Protocol: netstate.ProtocolCalico,
		})
	default:
		s.Routes = append(s.Routes, netstate.Route{
			Dest: block, Type: netstate.Unicast, Dev: tunnel.Name, Via: vtep, OnLink: true, MTU: tunnel.MTU,
			Protocol: netstate.ProtocolBoot,
		})
		s.Neighbours = append(s.Neighbours, netstate.Neighbour{Dev: tunnel.Name, Addr: vtep, MAC: mac})
		s.FDB = append(s.FDB, netstate.FDBEntry{Dev: tunnel.Name, MAC: mac, Dst: addr})
	}
}

// addLocal adds the node's own block and pods. The blocks are those of the other nodes in another state.
func addLocal(r *rand.Rand, s *netstate.State, v6 bool) {
	_, vtep, _ := node(someOf(r, 4, 5), v6)
	bits := 26
	if v6 {
		bits = 122
	}
	block := netip.PrefixFrom(vtep, bits)
	for _, other := range s.Routes {
		if other.Dest == block {
			return
		}
	}
	s.Routes = append(s.Routes, netstate.Route{Dest: block, Type: netstate.Blackhole, Protocol: netstate.ProtocolCalico})
	addr := vtep
	for range 4 {
		addr = addr.Next()
		if r.IntN(2) == 0 {
			s.Routes = append(s.Routes, netstate.Route{
				Dest: netip.PrefixFrom(addr, addr.BitLen()), Type: netstate.Unicast, Dev: someOf(r, pods...), Protocol: netstate.ProtocolBoot,
				Metric: someOf(r, 0, 1024),
			})
			// What a borrowed address has behind its pod.
			s.Routes = append(s.Routes, netstate.Route{
				Dest: netip.PrefixFrom(addr, addr.BitLen()), Type: netstate.Blackhole, Metric: math.MaxInt32,
				Protocol: netstate.ProtocolCalico,
			})
		}
	}
}

// drift makes a change that no driver expects. It leaves the parent and foreign routes alone.
func drift(r *rand.Rand, w *world) {
	actual, _ := w.routes.Read()
	var ours []route.Found
	for _, f := range actual.Routes {
		if owner.Owns(f) {
			ours = append(ours, f)
		}
	}
	entries, _ := w.neigh.Read(neigh.Devices())
	devices, _ := w.links.Read(link.Names())
	switch r.IntN(9) {
	case 0:
		if len(ours) > 0 {
			f := someOf(r, ours...)
			_ = w.routes.Write(route.Change{Verb: route.Delete, Route: f.Route, Found: f})
		}
	case 1:
		if len(ours) > 0 {
			changed := someOf(r, ours...).Route
			changed.MTU, changed.Protocol = 1300, netstate.ProtocolCalico
			_ = w.routes.Write(route.Change{Verb: route.Replace, Route: changed})
		}
	case 2:
		for _, n := range entries.Neighbours {
			_ = w.neigh.Write(neigh.Change{Verb: neigh.Delete, Neighbour: n})
		}
	case 3:
		for _, e := range entries.FDB {
			e.Dst = e.Dst.Next()
			_ = w.neigh.Write(neigh.Change{Verb: neigh.Set, FDB: e})
		}
	case 4, 5:
		for name, f := range devices {
			if f.Device.Kind == netstate.VXLAN {
				someOf(r, w.setDown, w.deleteLink)(name)
			}
		}
	case 6:
		for _, f := range devices {
			stray := netip.MustParsePrefix(someOf(r, "10.9.9.9/32", "10.9.9.9/24", "fd00:9::9/128"))
			_ = w.links.Write(link.Change{Verb: link.AddAddr, Device: f.Device, Addr: stray})
		}
	case 7:
		name := someOf(r, pods...)
		w.deleteLink(name)
		w.addLink(name)
		w.setUp(name)
	case 8:
		_ = w.routes.Write(route.Change{Verb: route.Add, Route: netstate.Route{
			Dest: netip.MustParsePrefix("10.8.0.0/16"), Type: netstate.Unicast, Dev: someOf(r, pods...), Protocol: 4,
		}})
	}
}
