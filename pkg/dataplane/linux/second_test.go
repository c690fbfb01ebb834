// SPDX-License-Identifier: Apache-2.0

package linux_test

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"calico-cni/internal/nettest"
	"calico-cni/pkg/dataplane"
	"calico-cni/pkg/dataplane/linux"
)

const secondHostIfName = "cali9876543210f"

var (
	second4 = netip.MustParseAddr("10.65.0.8")
	second6 = netip.MustParseAddr("fd00:65::8")
)

// secondSpec returns the spec of a second interface in the pod of specFor.
func secondSpec(pod *nettest.NetNS, addrs ...netip.Addr) dataplane.Spec {
	spec := specFor(pod, addrs...)
	spec.IfName, spec.MAC, spec.SecondHostIfName = "net1", net.HardwareAddr{0x02, 0, 0, 0, 0, 0x08}, secondHostIfName
	return spec
}

func admit(t *testing.T, node *nettest.NetNS, spec dataplane.Spec) (admitted dataplane.Spec, err error) {
	t.Helper()
	before := state(t, node)
	node.Do(func() { admitted, err = linux.New("").Admit(t.Context(), spec) })
	wantSame(t, "host", before, node)
	return admitted, err
}

// addSecond gives a pod two interfaces and returns both specs.
func addSecond(t *testing.T, node, pod *nettest.NetNS) (first, second dataplane.Spec) {
	t.Helper()
	first = specFor(pod, addr4, addr6)
	first.SecondHostIfName = "cali0000000000f"
	mustSetup(t, node, linux.New(""), first)
	second, err := admit(t, node, secondSpec(pod, second4, second6))
	must(t, err)
	mustSetup(t, node, linux.New(""), second)
	return first, second
}

func TestAdmitChoosesHostInterface(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*dataplane.Spec)
		// alias replaces the alias of the first interface. Nil keeps the alias that Setup sets.
		alias *string
		want  string
	}{
		{"another interface of the owner", func(*dataplane.Spec) {}, nil, secondHostIfName},
		{"another network in the pod", func(s *dataplane.Spec) { s.Handle = "other.sandbox-1" }, nil, secondHostIfName},
		{"first interface created by Calico", func(*dataplane.Spec) {}, new(""), secondHostIfName},
		{"first interface with the alias of another program", func(*dataplane.Spec) {}, new("sandbox-1"), secondHostIfName},
		{"no second name", func(s *dataplane.Spec) { s.SecondHostIfName = "" }, nil, "taken"},
		{"same owner and interface", func(s *dataplane.Spec) { s.IfName = ifName }, nil, "taken"},
		{
			"same owner and interface, whose end in the pod was renamed", func(*dataplane.Spec) {},
			new("net.sandbox-1/net1"), "taken",
		},
		{
			"a new sandbox", func(s *dataplane.Spec) { s.Handle, s.NetNS = "net.sandbox-2", newPod(t).Path }, nil,
			hostIfName,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			node, pod := newNode(t), newPod(t)
			mustSetup(t, node, linux.New(""), specFor(pod, addr4))
			if c.alias != nil {
				setAlias(t, node, hostIfName, *c.alias)
			}
			spec := secondSpec(pod, addr4)
			c.change(&spec)
			admitted, err := admit(t, node, spec)
			got := admitted.HostIfName
			if errors.Is(err, dataplane.ErrIfNameTaken) {
				got, err = "taken", nil
			}
			if err != nil || got != c.want {
				t.Errorf("got %s, %v, want %s", got, err, c.want)
			}
		})
	}
}

func setAlias(t *testing.T, ns *nettest.NetNS, name, alias string) {
	t.Helper()
	ns.Do(func() {
		link, err := netlink.LinkByName(name)
		must(t, err)
		must(t, netlink.LinkSetAlias(link, alias))
	})
}

func TestSetupKeepsInterfaceOfSamePod(t *testing.T) {
	node, pod := newNode(t), newPod(t)
	mustSetup(t, node, linux.New(""), specFor(pod, addr4))
	beforeNode, beforePod := state(t, node), state(t, pod)
	_, err := setup(t.Context(), node, linux.New(""), secondSpec(pod, second4))
	if !errors.Is(err, dataplane.ErrIfNameTaken) {
		t.Errorf("error is %v, want ErrIfNameTaken", err)
	}
	wantSame(t, "host", beforeNode, node)
	wantSame(t, "pod", beforePod, pod)
}

func TestTwoInterfacesWorkAndAreRemovedIndependently(t *testing.T) {
	client4, client6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	for _, gone := range []string{"first", "second"} {
		t.Run(gone+" removed", func(t *testing.T) {
			node, pod := newNode(t), newPod(t)
			addLink(t, node, "uplink", client4, client6)
			awaitLocal(t, node, client6)
			writeSysctl(t, node, "ipv4/conf/all/rp_filter", "0")
			writeSysctl(t, pod, "ipv4/conf/all/rp_filter", "0")
			first, second := addSecond(t, node, pod)
			for _, spec := range []dataplane.Spec{first, second} {
				exchange(t, place{node, client4}, place{pod, spec.Addrs[0]})
				exchange(t, place{node, client6}, place{pod, spec.Addrs[1]})
			}
			stays, goes := first, second
			if gone == "first" {
				stays, goes = second, first
			}
			for nth, want := range []bool{true, true, false} {
				target := targetOf(goes)
				if nth == 2 {
					target = targetOf(stays)
				}
				var others dataplane.Others
				var err error
				node.Do(func() { others, err = linux.New("").Teardown(t.Context(), target) })
				if err != nil || others != (dataplane.Others{InNetwork: want}) {
					t.Errorf("Teardown of %s: others is %+v, %v, want %t", target.IfName, others, err, want)
				}
				if nth < 2 {
					exchange(t, place{node, client4}, place{pod, stays.Addrs[0]})
					exchange(t, place{node, client6}, place{pod, stays.Addrs[1]})
				}
			}
			if got := state(t, node); strings.Contains(got, "link cali") {
				t.Errorf("the host has an interface left:\n%s", got)
			}
		})
	}
}

func TestSecondInterfaceKeepsRoutesOfFirst(t *testing.T) {
	node, pod := newNode(t), newPod(t)
	addSecond(t, node, pod)
	golden(t, "second.host", node)
	golden(t, "second.pod", pod)
}

// This includes a route whose metric leaves room below it: a route without metric would replace it.
func TestDefaultRouteOfAnotherInterfaceIsKept(t *testing.T) {
	for _, c := range []struct{ metric, want4, want6 string }{
		{"0", " metric=1\n", " metric=1025\n"},
		{"7", " metric=8\n", " metric=8\n"},
		{"2000", " metric=2001\n", " metric=2001\n"},
	} {
		t.Run("metric "+c.metric, func(t *testing.T) {
			node, pod := newNode(t), newPod(t)
			metric, err := strconv.Atoi(c.metric)
			must(t, err)
			other := addLink(t, pod, "net1")
			pod.Do(func() {
				for _, cidr := range []string{"0.0.0.0/0", "::/0"} {
					_, dst, _ := net.ParseCIDR(cidr)
					must(t, netlink.RouteAdd(&netlink.Route{
						LinkIndex: other.Attrs().Index, Dst: dst, Priority: metric,
						Scope: netlink.SCOPE_LINK,
					}))
				}
			})
			mustSetup(t, node, linux.New(""), specFor(pod, addr4, addr6))
			for _, want := range []string{
				"route default via 169.254.1.1 scope=universe proto=boot" + c.want4,
				"route6 default via fe80::ecee:eeff:feee:eeee scope=universe proto=boot" + c.want6,
			} {
				if got := state(t, pod); !strings.Contains(got, want) {
					t.Errorf("want %q in:\n%s", want, got)
				}
			}
		})
	}
}

// Interfaces in different namespaces can have the same index, so an index does not identify the peer.
func TestStaleHostInterfaceIsReplacedBesideAnotherPair(t *testing.T) {
	node, old, pod := newNode(t), newPod(t), newPod(t)
	mustSetup(t, node, linux.New(""), specFor(old, addr4))
	pod.Do(func() {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = "own0"
		veth := netlink.NewVeth(attrs)
		veth.PeerName = "own1"
		must(t, netlink.LinkAdd(veth))
	})
	spec := specFor(pod, addr4)
	spec.Handle, spec.SecondHostIfName = "net.sandbox-2", secondHostIfName
	admitted, err := admit(t, node, spec)
	if err != nil || admitted.HostIfName != hostIfName {
		t.Errorf("got %s, %v, want %s", admitted.HostIfName, err, hostIfName)
	}
	mustSetup(t, node, linux.New(""), admitted)
}
