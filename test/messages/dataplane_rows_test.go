// SPDX-License-Identifier: Apache-2.0

package messages_test

import (
	"net"
	"net/netip"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"calico-cni/internal/deadline"
	"calico-cni/internal/nettest"
	"calico-cni/pkg/dataplane"
	"calico-cni/pkg/dataplane/linux"
)

// attached creates an attachment in new namespaces, after prepare.
func attached(
	change func(*dataplane.Spec),
	prepare func(t *testing.T, node, pod *nettest.NetNS),
) func(t *testing.T) outcome {
	return func(t *testing.T) outcome {
		node, pod := nettest.NewNetNS(t), nettest.NewNetNS(t)
		spec := dataplane.Spec{
			Handle:     "net.c1",
			NetNS:      pod.Path,
			IfName:     "eth0",
			HostIfName: "cali1",
			Addrs:      []netip.Addr{netip.MustParseAddr("10.66.0.1")},
		}
		if prepare != nil {
			prepare(t, node, pod)
		}
		if change != nil {
			change(&spec)
		}
		var err error
		node.Do(func() { _, err = linux.New("").Setup(t.Context(), spec) })
		if err == nil {
			t.Fatal("the setup succeeded")
		}
		return of(err)
	}
}

func link(t *testing.T, ns *nettest.NetNS, name string, addr string) {
	t.Helper()
	ns.Do(func() {
		veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: name + "p"}
		must(t, netlink.LinkAdd(veth))
		must(t, netlink.LinkSetUp(veth))
		if addr != "" {
			a, err := netlink.ParseAddr(addr)
			must(t, err)
			must(t, netlink.AddrAdd(veth, a))
		}
	})
}

func dataplaneRows() []row {
	return []row{
		{
			cause: "no network namespace",
			by:    attached(func(s *dataplane.Spec) { s.NetNS = filepath.Join("/run", "netns", "none") }, nil),
			code:  4, says: "/run/netns/none", remedy: "the sandbox is gone", kinds: []error{dataplane.ErrNoNetNS},
		},
		{
			cause: "setup that takes too long", by: func(t *testing.T) outcome {
				pod := nettest.NewNetNS(t)
				ctx, cancel := deadline.Within(t.Context(), -time.Second, "the setup of the interface")
				defer cancel()
				_, err := linux.New("").Setup(ctx, dataplane.Spec{
					Handle: "net.c1", NetNS: pod.Path, IfName: "eth0", HostIfName: "cali1",
					Addrs: []netip.Addr{netip.MustParseAddr("10.66.0.1")},
				})
				return of(err)
			}, code: 11, says: "check IPv6: the setup of the interface took longer than", remedy: "check whether this node is " +
				"overloaded, and try again",
		},
		{
			cause:  "interface name taken",
			by:     attached(nil, func(t *testing.T, _, pod *nettest.NetNS) { link(t, pod, "eth0", "") }),
			code:   4,
			says:   "eth0",
			remedy: "remove it",
			kinds:  []error{dataplane.ErrIfNameTaken},
		},
		{
			cause: "address of the host",
			by:    attached(nil, func(t *testing.T, node, _ *nettest.NetNS) { link(t, node, "other0", "10.66.0.1/32") }),
			code:  11, says: "10.66.0.1", remedy: "remove", kinds: []error{dataplane.ErrRouteConflict},
		},
		{
			cause: "routing rule for pods", by: attached(nil, func(t *testing.T, node, _ *nettest.NetNS) {
				link(t, node, "other0", "")
				node.Do(func() {
					other, err := netlink.LinkByName("other0")
					must(t, err)
					_, wide, err := net.ParseCIDR("10.66.0.0/16")
					must(t, err)
					must(
						t,
						netlink.RouteAdd(
							&netlink.Route{LinkIndex: other.Attrs().Index, Dst: wide, Table: 100, Scope: netlink.SCOPE_LINK},
						),
					)
					rule := netlink.NewRule()
					rule.Dst, rule.Table, rule.Priority, rule.Family = wide, 100, 100, netlink.FAMILY_V4
					must(t, netlink.RuleAdd(rule))
				})
			}), code: 104, says: "10.66.0.0/16 dev other0 table 100", remedy: "change the routing rules", kinds: []error{
				dataplane.ErrRouteConflict,
			},
		},
		{
			cause: "privilege missing", by: func(t *testing.T) outcome {
				pod, result := nettest.NewNetNS(t), make(chan error)
				go func() {
					runtime.LockOSThread() // the thread ends with the goroutine
					err := nettest.DropCapability(unix.CAP_SYS_ADMIN)
					if err == nil {
						_, err = linux.New("").Setup(t.Context(), dataplane.Spec{
							Handle: "net.c1", NetNS: pod.Path, IfName: "eth0", HostIfName: "cali1",
							Addrs: []netip.Addr{netip.MustParseAddr("10.66.0.1")},
						})
					}
					result <- err
				}()
				return of(<-result)
			}, code: 104, says: "operation not permitted: this takes CAP_SYS_ADMIN", remedy: "run the container runtime as " +
				"root", kinds: []error{dataplane.ErrDenied},
		},
		{
			cause: "MTU too small for IPv6",
			by: attached(func(s *dataplane.Spec) {
				s.MTU, s.Addrs = 1000, []netip.Addr{netip.MustParseAddr("fd00::1")}
			}, nil),
			code: 7, says: "IPv6 needs at least 1280", remedy: "raise the MTU", kinds: []error{dataplane.ErrSpec},
		},
		{
			cause: "attachment damaged", by: func(t *testing.T) outcome {
				node, pod := nettest.NewNetNS(t), nettest.NewNetNS(t)
				spec := dataplane.Spec{
					Handle:     "net.c1",
					NetNS:      pod.Path,
					IfName:     "eth0",
					HostIfName: "cali1",
					Addrs:      []netip.Addr{netip.MustParseAddr("10.66.0.1")},
				}
				var err error
				node.Do(func() {
					_, err = linux.New("").Setup(t.Context(), spec)
					must(t, err)
					link, errLink := netlink.LinkByName("cali1")
					must(t, errLink)
					must(t, netlink.LinkSetDown(link))
					err = linux.New("").Check(t.Context(), spec)
				})
				return of(err)
			}, code: 103, says: "cali1", remedy: "delete the pod", kinds: []error{dataplane.ErrBroken},
		},
	}
}
