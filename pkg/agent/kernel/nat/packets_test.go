// SPDX-License-Identifier: Apache-2.0

package nat_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"calico-cni/internal/nettest"
	"calico-cni/pkg/agent/kernel/link"
	"calico-cni/pkg/agent/kernel/nat"
	"calico-cni/pkg/agent/kernel/nft"
	"calico-cni/pkg/netstate"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// network is a node between a pod and an outside host.
type network struct {
	pod, node, outside *nettest.NetNS
	driver             *nat.Driver
}

const (
	podAddr, nodeToPod      = "10.1.0.2", "10.1.0.1"
	outsideAddr, nodeToHost = "198.18.0.2", "198.18.0.1"
)

func newNetwork(t *testing.T) *network {
	t.Helper()
	n := &network{pod: nettest.NewNetNS(t), node: nettest.NewNetNS(t), outside: nettest.NewNetNS(t)}
	connect(t, n.node, "cali1", nodeToPod, n.pod, podAddr)
	connect(t, n.node, "eth0", nodeToHost, n.outside, outsideAddr)
	n.node.Do(func() {
		must(t, os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0))
		c, err := nft.Open()
		must(t, err)
		t.Cleanup(c.Close)
		n.driver = &nat.Driver{Kernel: c}
	})
	return n
}

// connect joins a node and a neighbour, whose default route is the node.
func connect(t *testing.T, node *nettest.NetNS, ifName, nodeAddr string, other *nettest.NetNS, addr string) {
	t.Helper()
	other.Do(func() {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = "eth0"
		file, err := os.Open(node.Path)
		must(t, err)
		defer func() { _ = file.Close() }()
		must(t, netlink.LinkAdd(&netlink.Veth{
			LinkAttrs: attrs, PeerName: ifName, PeerNamespace: netlink.NsFd(int(file.Fd())),
		}))
		up(t, "eth0", addr)
	})
	node.Do(func() { up(t, ifName, nodeAddr) })
	other.Do(func() {
		must(t, netlink.RouteAdd(&netlink.Route{Gw: net.ParseIP(nodeAddr), Dst: &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}}))
	})
}

func up(t *testing.T, ifName, addr string) {
	t.Helper()
	link, err := netlink.LinkByName(ifName)
	must(t, err)
	must(t, netlink.LinkSetUp(link))
	a, err := netlink.ParseAddr(addr + "/24")
	must(t, err)
	must(t, netlink.AddrAdd(link, a))
}

// The times to wait for a packet that is expected to arrive, and for one that is not.
const (
	patient = 10 * time.Second
	brief   = 300 * time.Millisecond
)

// send sends a datagram and returns the source that the receiver sees, the zero value if nothing arrives in time.
func send(t *testing.T, from, to *nettest.NetNS, addr string, sourcePort, destPort int, data []byte, limit time.Duration) netip.AddrPort {
	t.Helper()
	var receiver, sender *net.UDPConn
	to.Do(func() {
		var err error
		receiver, err = net.ListenUDP("udp4", &net.UDPAddr{Port: destPort})
		must(t, err)
	})
	defer receiver.Close()
	from.Do(func() {
		var err error
		sender, err = net.DialUDP("udp4", &net.UDPAddr{Port: sourcePort}, &net.UDPAddr{IP: net.ParseIP(addr), Port: destPort})
		must(t, err)
	})
	defer sender.Close()
	_, err := sender.Write(data)
	must(t, err)
	must(t, receiver.SetReadDeadline(time.Now().Add(limit)))
	_, source, err := receiver.ReadFromUDPAddrPort(make([]byte, 100))
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	return source
}

func (n *network) apply(t *testing.T, c nat.Config) {
	t.Helper()
	if r := n.driver.Apply(context.Background(), c); r.Err != nil {
		t.Fatal(r.Err)
	}
}

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

func TestPodsAreTranslatedOnTheWayOut(t *testing.T) {
	n := newNetwork(t)
	pool := prefixes("10.1.0.0/16")
	with := func(change func(*netstate.NAT)) nat.Config {
		c := nat.Config{NAT: netstate.NAT{IPv4: netstate.FamilyNAT{Sources: pool, Exclusions: pool}, ReservedPort: 4789}}
		change(&c.NAT)
		return c
	}
	tests := []struct {
		name   string
		config nat.Config
		want   string
	}{
		{"no pool", nat.Config{}, podAddr},
		{"masquerade", with(func(*netstate.NAT) {}), nodeToHost},
		{"excluded destination", with(func(c *netstate.NAT) { c.IPv4.Exclusions = prefixes("198.18.0.2/32") }), podAddr},
		{"other source", with(func(c *netstate.NAT) { c.IPv4.Sources = prefixes("10.2.0.0/16") }), podAddr},
		{"source address", with(func(c *netstate.NAT) { c.IPv4.Addr = netip.MustParseAddr("198.18.0.99") }), "198.18.0.99"},
		{"through this interface", with(func(c *netstate.NAT) { c.Interface = "eth+" }), nodeToHost},
		{"through another interface", with(func(c *netstate.NAT) { c.Interface = "eth1" }), podAddr},
	}
	for i, test := range tests {
		n.apply(t, test.config)
		source := send(t, n.pod, n.outside, outsideAddr, 20000+i, 7000, []byte("x"), patient)
		if source.Addr().String() != test.want {
			t.Errorf("%s: the source is %s, want %s", test.name, source, test.want)
		}
	}
}

func TestTranslationNeverUsesTheReservedPort(t *testing.T) {
	n := newNetwork(t)
	pool := prefixes("10.1.0.0/16")
	n.apply(t, nat.Config{NAT: netstate.NAT{
		IPv4:         netstate.FamilyNAT{Sources: pool, Exclusions: pool},
		ReservedPort: 4789, Ports: netstate.PortRange{First: 4789, Last: 4791},
	}})
	seen := map[uint16]bool{}
	for i := range 30 {
		// Each connection has another destination port, so each may use any source port.
		source := send(t, n.pod, n.outside, outsideAddr, 4789, 7000+i, []byte("x"), patient)
		seen[source.Port()] = true
	}
	if seen[4789] || !seen[4790] || !seen[4791] || len(seen) != 2 {
		t.Errorf("source ports %v, want 4790 and 4791", seen)
	}
}

// encapsulated returns the start of a VXLAN packet.
func encapsulated(vni uint32) []byte {
	return append([]byte{8, 0, 0, 0}, binary.BigEndian.AppendUint32(nil, vni<<8)...)
}

func TestTunnelPacketsFromUnknownSendersAreDropped(t *testing.T) {
	n := newNetwork(t)
	const vni, port = 4096, 4789
	within := func(limit time.Duration, from, to *nettest.NetNS, addr string, vni uint32, destPort int) bool {
		return send(t, from, to, addr, 0, destPort, encapsulated(vni), limit).IsValid()
	}
	filter := netstate.TunnelFilter{Dev: link.VXLANv4, Kind: netstate.VXLAN, Port: port, VNI: vni}
	c := nat.Config{Filters: []netstate.TunnelFilter{filter}, Workloads: []string{"cali"}}
	n.apply(t, c)
	if within(brief, n.outside, n.node, nodeToHost, vni, port) {
		t.Error("a packet from an unknown sender arrives")
	}
	if !within(patient, n.outside, n.node, nodeToHost, vni+1, port) {
		t.Error("a packet of another network does not arrive")
	}
	if !within(patient, n.outside, n.node, nodeToHost, vni, port+1) {
		t.Error("a packet to another port does not arrive")
	}
	if within(brief, n.pod, n.outside, outsideAddr, vni, port) {
		t.Error("a packet of a pod arrives")
	}
	c.Filters[0].Senders = prefixes(outsideAddr + "/32")
	c.AllowVXLANFromPods = true
	n.apply(t, c)
	if !within(patient, n.outside, n.node, nodeToHost, vni, port) {
		t.Error("a packet from a known sender does not arrive")
	}
	if !within(patient, n.pod, n.outside, outsideAddr, vni, port) {
		t.Error("a packet of a pod does not arrive although that is allowed")
	}
}

func TestManySendersFitInOneTransaction(t *testing.T) {
	n := newNetwork(t)
	filter := netstate.TunnelFilter{Dev: link.VXLANv4, Kind: netstate.VXLAN, Port: 4789, VNI: 4096}
	addr := netip.MustParseAddr("10.200.0.1")
	for range 10_000 {
		filter.Senders = append(filter.Senders, netip.PrefixFrom(addr, 32))
		addr = addr.Next().Next()
	}
	c := nat.Config{Filters: []netstate.TunnelFilter{filter}}
	n.apply(t, c)
	again := nat.Driver{Kernel: n.driver.Kernel}
	if r := again.Apply(context.Background(), c); r.Writes != 0 || r.Err != nil {
		t.Errorf("a restart with nothing changed: %+v", r)
	}
	c.Filters = []netstate.TunnelFilter{filter}
	c.Filters[0].Senders = filter.Senders[5000:]
	n.apply(t, c)
	if r := again.Apply(context.Background(), c); r.Writes != 0 || r.Err != nil {
		t.Errorf("after half of the senders are gone: %+v", r)
	}
}
