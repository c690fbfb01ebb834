// SPDX-License-Identifier: Apache-2.0

package linux_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"calico-cni/internal/nettest"
	"calico-cni/pkg/dataplane"
	"calico-cni/pkg/dataplane/linux"
)

// check runs Check and fails the test if Check changes the state.
func check(t *testing.T, node, pod *nettest.NetNS, spec dataplane.Spec) (err error) {
	t.Helper()
	beforeNode, beforePod := state(t, node), state(t, pod)
	node.Do(func() { err = linux.New("").Check(t.Context(), spec) })
	wantSame(t, "host", beforeNode, node)
	wantSame(t, "pod", beforePod, pod)
	return err
}

// differences returns the differences in an error of Check, one per line.
func differences(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	text, ok := strings.CutPrefix(err.Error(), dataplane.ErrBroken.Error()+": ")
	if !ok || !errors.Is(err, dataplane.ErrBroken) {
		t.Fatalf("error is %q, want ErrBroken", err)
	}
	text, ok = strings.CutSuffix(text, "; delete the pod, so that it gets a new sandbox")
	if !ok {
		t.Errorf("error %q contains no remedy", err)
	}
	return strings.ReplaceAll(text, "; ", "\n")
}

func TestCheckReportsEachDifference(t *testing.T) {
	const hostAddr6 = "address fe80::ecee:eeff:feee:eeee on cali0123456789a: want usable, is absent or not usable"
	hostRoutes := []string{
		"host route 10.65.0.7/32: want through cali0123456789a, is absent",
		"host route fd00:65::7/128: want through cali0123456789a, is absent",
	}
	podRoutes := []string{
		"pod route 169.254.1.1/32: want through eth0, is absent",
		"pod route 0.0.0.0/0: want via 169.254.1.1 through eth0, is absent",
		"pod route ::/0: want via fe80::ecee:eeff:feee:eeee through eth0, is absent",
	}
	for _, c := range []struct {
		name   string
		damage func(*testing.T, *attachedPod)
		want   []string
	}{
		{"nothing", func(*testing.T, *attachedPod) {}, nil},
		{
			"pod interface gone", func(t *testing.T, w *attachedPod) { w.rename(t, w.pod, ifName) },
			[]string{"pod interface eth0: want present, is absent"},
		},
		{
			"unrelated pod interface of the same name", func(t *testing.T, w *attachedPod) {
				w.rename(t, w.pod, ifName)
				addLink(t, w.pod, ifName)
				w.pod.Do(func() {
					must(t, netlink.LinkSetHardwareAddr(w.link(t, ifName), net.HardwareAddr{2, 0, 0, 0, 0, 1}))
				})
				w.await(t, w.pod, ifName, isDown)
			},
			append([]string{
				"pod interface eth0: want the peer of cali0123456789a, is an unrelated bridge",
				"pod interface eth0: want MAC 02:00:00:00:00:07, is 02:00:00:00:00:01",
				"pod interface eth0: want MTU 1440 at most, is 1500",
				"address 10.65.0.7 on eth0: want present, is absent",
				"address fd00:65::7 on eth0: want present, is absent",
			}, podRoutes...),
		},
		{
			"pod interface down", func(t *testing.T, w *attachedPod) { w.down(t, w.pod, ifName, w.node, hostIfName) },
			append([]string{
				"pod interface eth0: want up, is down",
				"address fd00:65::7 on eth0: want present, is absent",
			}, podRoutes...),
		},
		{
			"MAC", func(t *testing.T, w *attachedPod) {
				w.pod.Do(func() {
					must(t, netlink.LinkSetHardwareAddr(w.link(t, ifName), net.HardwareAddr{2, 0, 0, 0, 0, 1}))
				})
			},
			[]string{"pod interface eth0: want MAC 02:00:00:00:00:07, is 02:00:00:00:00:01"},
		},
		{
			"MTU of pod", func(t *testing.T, w *attachedPod) {
				w.pod.Do(func() { must(t, netlink.LinkSetMTU(w.link(t, ifName), 1441)) })
			},
			[]string{"pod interface eth0: want MTU 1440 at most, is 1441"},
		},
		{
			"IPv4 address", func(t *testing.T, w *attachedPod) {
				w.pod.Do(func() {
					// The kernel drops all routes when the last address is removed.
					must(t, netlink.AddrAdd(w.link(t, ifName), &netlink.Addr{IPNet: ipNet(second4)}))
					must(t, netlink.AddrDel(w.link(t, ifName), &netlink.Addr{IPNet: ipNet(addr4)}))
				})
			},
			[]string{"address 10.65.0.7 on eth0: want present, is absent"},
		},
		{
			"IPv6 address", func(t *testing.T, w *attachedPod) {
				w.pod.Do(func() { must(t, netlink.AddrDel(w.link(t, ifName), &netlink.Addr{IPNet: ipNet(addr6)})) })
			},
			[]string{"address fd00:65::7 on eth0: want present, is absent"},
		},
		{
			"address tentative", func(t *testing.T, w *attachedPod) { w.detectDuplicates(t, "100") },
			[]string{"address fd00:65::7 on eth0: want usable, is tentative"},
		},
		{
			"address of another host", func(t *testing.T, w *attachedPod) {
				w.node.Do(func() {
					must(t, netlink.AddrAdd(w.link(t, hostIfName),
						&netlink.Addr{IPNet: ipNet(addr6), Flags: unix.IFA_F_NODAD}))
				})
				awaitLocal(t, w.node, addr6)
				w.detectDuplicates(t, "1")
				for deadline := time.Now().Add(waitTimeout); !strings.Contains(state(t, w.pod), "dadfailed") &&
					time.Now().Before(deadline); {
					time.Sleep(time.Millisecond)
				}
				w.node.Do(func() {
					must(t, netlink.AddrDel(w.link(t, hostIfName), &netlink.Addr{IPNet: ipNet(addr6)}))
				})
			},
			[]string{"address fd00:65::7 on eth0: want usable, is a duplicate of an address of another host " +
				"(dadfailed)"},
		},
		{
			"route to gateway", func(t *testing.T, w *attachedPod) { w.delRoute(t, w.pod, ifName, "169.254.1.1/32") },
			podRoutes[:1],
		},
		{
			"IPv4 default route", func(t *testing.T, w *attachedPod) { w.delRoute(t, w.pod, ifName, "0.0.0.0/0") },
			podRoutes[1:2],
		},
		{
			"IPv6 default route", func(t *testing.T, w *attachedPod) { w.delRoute(t, w.pod, ifName, "::/0") },
			podRoutes[2:],
		},
		{
			"host interface gone", func(t *testing.T, w *attachedPod) { w.rename(t, w.node, hostIfName) },
			[]string{"host interface cali0123456789a: want present, is absent"},
		},
		{
			"host interface down", func(t *testing.T, w *attachedPod) { w.down(t, w.node, hostIfName, w.pod, ifName) },
			append([]string{"host interface cali0123456789a: want up, is down", hostAddr6}, hostRoutes...),
		},
		{
			"host MAC", func(t *testing.T, w *attachedPod) {
				w.node.Do(func() {
					must(t, netlink.LinkSetHardwareAddr(w.link(t, hostIfName), net.HardwareAddr{2, 0, 0, 0, 0, 1}))
				})
			},
			[]string{"host interface cali0123456789a: want MAC ee:ee:ee:ee:ee:ee, is 02:00:00:00:00:01"},
		},
		{
			"MTU of host", func(t *testing.T, w *attachedPod) {
				w.node.Do(func() { must(t, netlink.LinkSetMTU(w.link(t, hostIfName), 1400)) })
			},
			[]string{"host interface cali0123456789a: want MTU 1440, is 1400"},
		},
		{
			"another owner", func(t *testing.T, w *attachedPod) {
				setAlias(t, w.node, hostIfName, "net.sandbox-2/eth0")
			},
			[]string{`host interface cali0123456789a: want mark net.sandbox-1/eth0, is "net.sandbox-2/eth0"`},
		},
		{
			"alias of another program", func(t *testing.T, w *attachedPod) {
				setAlias(t, w.node, hostIfName, "sandbox-1")
			},
			[]string{`host interface cali0123456789a: want mark net.sandbox-1/eth0, is "sandbox-1"`},
		},
		{
			"gateway address", func(t *testing.T, w *attachedPod) {
				_, gateway, _ := net.ParseCIDR("fe80::ecee:eeff:feee:eeee/64")
				gateway.IP = net.ParseIP("fe80::ecee:eeff:feee:eeee")
				w.node.Do(func() { must(t, netlink.AddrDel(w.link(t, hostIfName), &netlink.Addr{IPNet: gateway})) })
			},
			[]string{hostAddr6},
		},
		{
			"IPv4 host route", func(t *testing.T, w *attachedPod) { w.delRoute(t, w.node, hostIfName, "10.65.0.7/32") },
			hostRoutes[:1],
		},
		{
			"IPv6 host route", func(t *testing.T, w *attachedPod) {
				w.delRoute(t, w.node, hostIfName, "fd00:65::7/128")
			},
			hostRoutes[1:],
		},
		{
			"host route through another interface", func(t *testing.T, w *attachedPod) {
				other := addLink(t, w.node, "other0")
				w.node.Do(func() {
					must(t, netlink.RouteReplace(&netlink.Route{
						LinkIndex: other.Attrs().Index, Dst: ipNet(addr4),
						Scope: netlink.SCOPE_LINK,
					}))
				})
			},
			[]string{"host route 10.65.0.7/32: want through cali0123456789a, is 10.65.0.7/32 dev other0 table main " +
				"proto 3"},
		},
		{
			"wider host route", func(t *testing.T, w *attachedPod) {
				w.delRoute(t, w.node, hostIfName, "10.65.0.7/32")
				addLink(t, w.node, "uplink", netip.MustParseAddr("192.0.2.1"))
				addDefaultRoutes(t, w.node, "uplink")
			},
			hostRoutes[:1],
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newAttachedPod(t)
			c.damage(t, w)
			if diff := cmp.Diff(strings.Join(c.want, "\n"),
				differences(t, check(t, w.node, w.pod, w.spec))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestCheckReportsEachSysctl(t *testing.T) {
	for _, c := range []struct{ file, good, bad string }{
		{"ipv4/conf/cali0123456789a/route_localnet", "1", "0"},
		{"ipv4/conf/cali0123456789a/proxy_arp", "1", "0"},
		{"ipv4/conf/cali0123456789a/forwarding", "1", "0"},
		{"ipv6/conf/cali0123456789a/accept_dad", "0", "1"},
		{"ipv6/conf/cali0123456789a/proxy_ndp", "1", "0"},
		{"ipv6/conf/cali0123456789a/forwarding", "1", "0"},
	} {
		w := newAttachedPod(t)
		writeSysctl(t, w.node, c.file, c.bad)
		want := "sysctl net/" + c.file + ": want " + c.good + ", is " + c.bad
		if got := differences(t, check(t, w.node, w.pod, w.spec)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestCheckReportsDisabledIPv6(t *testing.T) {
	w := newAttachedPod(t)
	writeSysctl(t, w.node, "ipv6/conf/cali0123456789a/disable_ipv6", "1")
	want := "address fe80::ecee:eeff:feee:eeee on cali0123456789a: want usable, is absent or not usable\n" +
		"sysctl net/ipv6/conf/cali0123456789a/disable_ipv6: want 0, is 1\n" +
		"host route fd00:65::7/128: want through cali0123456789a, is absent"
	if diff := cmp.Diff(want, differences(t, check(t, w.node, w.pod, w.spec))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCheckToleratesChangesByOthers(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*testing.T, *attachedPod)
	}{
		{"changes by tuning and bandwidth", func(t *testing.T, w *attachedPod) {
			w.pod.Do(func() {
				must(t, netlink.LinkSetMTU(w.link(t, ifName), 1300))
				must(t, netlink.SetPromiscOn(w.link(t, ifName)))
				must(t, netlink.LinkSetAllmulticastOn(w.link(t, ifName)))
			})
			w.node.Do(func() {
				must(t, netlink.QdiscAdd(&netlink.Tbf{
					QdiscAttrs: netlink.QdiscAttrs{
						LinkIndex: w.link(t, hostIfName).Attrs().Index,
						Handle:    netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT,
					},
					Rate: 1 << 20, Buffer: 1 << 20, Limit: 1 << 20,
				}))
			})
		}},
		{"additional addresses and routes", func(t *testing.T, w *attachedPod) {
			w.pod.Do(func() {
				must(t, netlink.AddrAdd(w.link(t, ifName), &netlink.Addr{IPNet: ipNet(second4)}))
				_, dst, _ := net.ParseCIDR("198.51.100.0/24")
				must(t, netlink.RouteAdd(&netlink.Route{
					LinkIndex: w.link(t, ifName).Attrs().Index, Dst: dst,
					Scope: netlink.SCOPE_LINK,
				}))
			})
		}},
		{"routes of the pod in another table", func(t *testing.T, w *attachedPod) {
			w.pod.Do(func() {
				index := w.link(t, ifName).Attrs().Index
				for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
					routes, err := netlink.RouteListFiltered(family,
						&netlink.Route{
							LinkIndex: index,
							Table:     unix.RT_TABLE_MAIN,
						}, netlink.RT_FILTER_OIF|netlink.RT_FILTER_TABLE)
					must(t, err)
					for _, route := range routes {
						moved := route
						moved.Table = 100
						must(t, netlink.RouteAdd(&moved))
					}
					for i := len(routes) - 1; i >= 0; i-- {
						must(t, netlink.RouteDel(&routes[i]))
					}
				}
			})
		}},
		{"an attachment of Calico", func(t *testing.T, w *attachedPod) {
			setAlias(t, w.node, hostIfName, "")
			w.pod.Do(func() {
				neighs, err := netlink.NeighList(w.link(t, ifName).Attrs().Index, netlink.FAMILY_ALL)
				must(t, err)
				for _, n := range neighs {
					must(t, netlink.NeighDel(&n))
				}
			})
		}},
		{"MAC and MTU that the spec leaves open", func(t *testing.T, w *attachedPod) {
			w.spec.MAC, w.spec.MTU = nil, 0
			w.pod.Do(func() { must(t, netlink.LinkSetMTU(w.link(t, ifName), 9000)) })
		}},
		{"no host routes if the spec wants none", func(t *testing.T, w *attachedPod) {
			w.spec.NoHostRoutes = true
			w.delRoute(t, w.node, hostIfName, "10.65.0.7/32")
			w.delRoute(t, w.node, hostIfName, "fd00:65::7/128")
		}},
		{"optional sysctls", func(t *testing.T, w *attachedPod) {
			writeSysctl(t, w.node, "ipv4/neigh/"+hostIfName+"/proxy_delay", "80")
			writeSysctl(t, w.node, "ipv6/conf/"+hostIfName+"/accept_ra", "1")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newAttachedPod(t)
			before := state(t, w.node) + state(t, w.pod)
			c.change(t, w)
			// The state does not show what the tuning plugin changes, and may not show what the spec leaves open.
			if before == state(t, w.node)+state(t, w.pod) {
				t.Fatal("nothing has changed")
			}
			if got := differences(t, check(t, w.node, w.pod, w.spec)); got != "" {
				t.Errorf("Check returned:\n%s", got)
			}
		})
	}
}

func TestCheckFindsBothHostInterfaces(t *testing.T) {
	node, pod := newNode(t), newPod(t)
	addSecond(t, node, pod)
	spec := secondSpec(pod, second4, second6)
	if err := check(t, node, pod, spec); err != nil {
		t.Error(err)
	}
	w := attachedPod{node: node, pod: pod}
	w.rename(t, node, secondHostIfName)
	want := "host interface " + secondHostIfName + ": want present, is absent"
	if got := differences(t, check(t, node, pod, spec)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestCheckOfOneFamilyIgnoresTheOther(t *testing.T) {
	for _, family := range families {
		node, pod := newNode(t), newPod(t)
		spec := specFor(pod, family.addrs...)
		mustSetup(t, node, linux.New(""), spec)
		if err := check(t, node, pod, spec); err != nil {
			t.Errorf("%s: %v", family.name, err)
		}
	}
}

func TestCheckWithoutNamespace(t *testing.T) {
	w := newAttachedPod(t)
	w.spec.NetNS = "/proc/self/ns/absent"
	if err := check(t, w.node, w.pod, w.spec); !errors.Is(err, dataplane.ErrNoNetNS) {
		t.Errorf("error is %v, want ErrNoNetNS", err)
	}
}

func TestCheckStopsWhenContextIsCancelled(t *testing.T) {
	w := newAttachedPod(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.node.Do(func() {
		if err := linux.New("").Check(ctx, w.spec); !errors.Is(err, context.Canceled) {
			t.Errorf("error is %v, want context.Canceled", err)
		}
	})
}
