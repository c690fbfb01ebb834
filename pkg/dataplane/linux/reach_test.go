// SPDX-License-Identifier: Apache-2.0

package linux_test

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"calico-cni/internal/nettest"
	"calico-cni/pkg/dataplane/linux"
)

// waitTimeout bounds each wait of a test: for a packet, or for a state of a link or address. The tests retransmit no
// packet.
const waitTimeout = 5 * time.Second

// TestFirstPacketsArrive exchanges one datagram and its answer immediately after Setup. A tentative address, an
// interface that is not fully up or a gateway that does not answer would drop it.
func TestFirstPacketsArrive(t *testing.T) {
	hostAddrs := map[bool]netip.Addr{true: netip.MustParseAddr("192.0.2.1"), false: netip.MustParseAddr("2001:db8::1")}
	for _, uplink := range []string{"without default route", "with default route"} {
		for _, peers := range [][2]string{{"pod", "host"}, {"host", "pod"}, {"pod", "other"}} {
			for _, addr := range []netip.Addr{addr4, addr6} {
				t.Run(fmt.Sprintf("%s to %s over %s, host %s", peers[0], peers[1], addr, uplink), func(t *testing.T) {
					host := hostAddrs[addr.Is4()]
					node, pod, other := newNode(t), newPod(t), newPod(t)
					addLink(t, node, "uplink", host)
					awaitLocal(t, node, host)
					if uplink == "with default route" {
						addDefaultRoutes(t, node, "uplink")
					}
					// The node agent sets this: older kernels support IPv6 forwarding only for all interfaces.
					writeSysctl(t, node, "ipv6/conf/all/forwarding", "1")
					otherSpec := specFor(other, addr.Next())
					otherSpec.HostIfName = "cali00000000000"
					mustSetup(t, node, linux.New(""), otherSpec)
					mustSetup(t, node, linux.New(""), specFor(pod, addr))

					places := map[string]place{"host": {node, host}, "pod": {pod, addr}, "other": {other, addr.Next()}}
					exchange(t, places[peers[0]], places[peers[1]])
				})
			}
		}
	}
}

type place struct {
	ns   *nettest.NetNS
	addr netip.Addr
}

// exchange sends a datagram from one place to the other and an answer back.
func exchange(t *testing.T, from, to place) {
	t.Helper()
	server, client := listen(t, to), listen(t, from)
	buf := make([]byte, 16)
	if _, err := client.WriteToUDPAddrPort([]byte("ping"), server.LocalAddr().(*net.UDPAddr).AddrPort()); err != nil {
		t.Fatalf("send: %v", err)
	}
	n, sender, err := server.ReadFromUDPAddrPort(buf)
	if err != nil {
		t.Fatalf("the datagram did not arrive: %v", err)
	}
	if got := sender.Addr().Unmap(); got != from.addr {
		t.Errorf("the datagram came from %s, want %s", got, from.addr)
	}
	if _, err := server.WriteToUDPAddrPort(buf[:n], sender); err != nil {
		t.Fatalf("answer: %v", err)
	}
	if _, err := client.Read(buf); err != nil {
		t.Fatalf("the answer did not arrive: %v", err)
	}
}

// listen opens a socket on the place's own address. The kernel rejects this for a tentative address.
func listen(t *testing.T, p place) *net.UDPConn {
	t.Helper()
	var conn *net.UDPConn
	p.ns.Do(func() {
		var err error
		conn, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(p.addr, 0)))
		must(t, err)
	})
	t.Cleanup(func() { conn.Close() })
	must(t, conn.SetDeadline(time.Now().Add(waitTimeout)))
	return conn
}

// awaitLocal waits until the kernel accepts packets for an address that the test has added.
func awaitLocal(t *testing.T, ns *nettest.NetNS, addr netip.Addr) {
	t.Helper()
	ns.Do(func() {
		for t.Context().Err() == nil {
			if routes, err := netlink.RouteGet(addr.AsSlice()); err == nil && routes[0].Type == unix.RTN_LOCAL {
				return
			}
			time.Sleep(time.Millisecond)
		}
	})
}

func addDefaultRoutes(t *testing.T, ns *nettest.NetNS, name string) {
	t.Helper()
	ns.Do(func() {
		link, err := netlink.LinkByName(name)
		must(t, err)
		for _, cidr := range []string{"0.0.0.0/0", "::/0"} {
			_, dst, err := net.ParseCIDR(cidr)
			must(t, err)
			must(t, netlink.RouteAdd(&netlink.Route{
				LinkIndex: link.Attrs().Index, Dst: dst,
				Scope: netlink.SCOPE_LINK,
			}))
		}
	})
}
