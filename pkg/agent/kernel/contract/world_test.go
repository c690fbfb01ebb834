// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"calico-cni/internal/nettest"
	"calico-cni/pkg/agent/kernel"
	"calico-cni/pkg/agent/kernel/fake"
	"calico-cni/pkg/agent/kernel/link"
	"calico-cni/pkg/agent/kernel/neigh"
	"calico-cni/pkg/agent/kernel/route"
	"calico-cni/pkg/agent/kernel/rtnl"
	"calico-cni/pkg/netstate"
)

// parent is the link of the node's addresses, and pods are workload interfaces.
const parent = "eth0"

var pods = []string{"cali1", "cali2", "cali3"}

// world is a kernel with what the suite does to it besides the drivers.
type world struct {
	links  link.Kernel
	routes route.Kernel
	neigh  neigh.Kernel
	// addLink adds a link that is no tunnel device and is down.
	addLink                    func(name string)
	setUp, setDown, deleteLink func(name string)
	addAddr                    func(name string, p netip.Prefix)
	// addPluginRoute adds the route to a pod in the way of the plugin.
	addPluginRoute func(addr netip.Addr, dev string)
	// hasIPIP says that the kernel has the module.
	hasIPIP bool
}

// addNode adds the parent with the node's addresses, and workload interfaces that are up.
func (w *world) addNode() *world {
	for _, name := range append([]string{parent}, pods...) {
		w.addLink(name)
		w.setUp(name)
	}
	w.addAddr(parent, netip.MustParsePrefix("198.18.0.11/24"))
	w.addAddr(parent, netip.MustParsePrefix("2001:db8::11/64"))
	return w
}

func newFake(*testing.T) *world {
	k := fake.New()
	w := &world{
		links: k.Links(), routes: k.Routes(), neigh: k.Neighbours(), hasIPIP: true,
		addLink: func(name string) { k.AddLink(name, "dummy") },
		setUp:   k.SetUp, setDown: k.SetDown, deleteLink: k.DeleteLink,
		addAddr: func(name string, p netip.Prefix) { _ = k.AddAddr(name, p) },
	}
	w.addPluginRoute = func(addr netip.Addr, dev string) {
		r := netstate.Route{Dest: netip.PrefixFrom(addr, addr.BitLen()), Type: netstate.Unicast, Dev: dev, Protocol: 3}
		_ = w.routes.Write(route.Change{Verb: route.Add, Route: r})
	}
	return w.addNode()
}

func newReal(t testing.TB) *world {
	t.Helper()
	var h *netlink.Handle
	w := &world{}
	nettest.NewNetNS(t).Do(func() {
		var err error
		h, err = netlink.NewHandle(unix.NETLINK_ROUTE)
		must(t, err)
		links, err := link.Open()
		must(t, err)
		routes, err := route.Open()
		must(t, err)
		neighbours, err := neigh.Open()
		must(t, err)
		w.links, w.routes, w.neigh = links, routes, neighbours
		t.Cleanup(func() { links.Close(); routes.Close(); neighbours.Close(); h.Close() })
	})
	byName := func(name string) netlink.Link {
		l, err := h.LinkByName(name)
		must(t, err)
		return l
	}
	w.addLink = func(name string) {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MTU = name, 1500
		must(t, h.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "p-" + name}))
		must(t, h.LinkSetUp(byName("p-"+name)))
	}
	w.setUp = func(name string) { must(t, h.LinkSetUp(byName(name))) }
	w.setDown = func(name string) { must(t, h.LinkSetDown(byName(name))) }
	w.deleteLink = func(name string) { must(t, h.LinkDel(byName(name))) }
	w.addAddr = func(name string, p netip.Prefix) {
		a := &netlink.Addr{IPNet: rtnl.IPNet(p)}
		if p.Addr().Is6() {
			a.Flags = unix.IFA_F_NODAD
		}
		must(t, h.AddrAdd(byName(name), a))
	}
	w.addPluginRoute = func(addr netip.Addr, dev string) {
		r := &netlink.Route{
			LinkIndex: byName(dev).Attrs().Index, Dst: rtnl.IPNet(netip.PrefixFrom(addr, addr.BitLen())), Scope: netlink.SCOPE_LINK,
		}
		must(t, h.RouteAdd(r))
	}
	w.setUp("lo")
	ipip := &netlink.Iptun{LinkAttrs: netlink.LinkAttrs{Name: "probe"}, Remote: []byte{192, 0, 2, 1}}
	if h.LinkAdd(ipip) == nil {
		w.hasIPIP = true
		must(t, h.LinkDel(ipip))
	}
	return w.addNode()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// onBoth runs a test on the fake kernel and on the real one.
func onBoth(t *testing.T, test func(t *testing.T, newWorld func(*testing.T) *world)) {
	t.Run("fake", func(t *testing.T) { test(t, newFake) })
	t.Run("kernel", func(t *testing.T) { test(t, func(t *testing.T) *world { return newReal(t) }) })
}

var (
	errInjected = errors.New("injected")
	errStopped  = errors.New("stopped")
)

// meter counts calls of a kernel and lets some fail. Calls are numbered from 1.
type meter struct {
	calls, writes int
	// failAt is the call that fails. stopAfter is the write after which all calls fail, like those of a killed process.
	failAt, stopAfter int
}

func (m *meter) call(isWrite bool) error {
	if m.stopAfter > 0 && m.writes >= m.stopAfter {
		return errStopped
	}
	m.calls++
	if m.calls == m.failAt {
		return errInjected
	}
	if isWrite {
		m.writes++
	}
	return nil
}

// The three parts of a kernel with a meter.
type (
	meteredLinks struct {
		k link.Kernel
		m *meter
	}
	meteredRoutes struct {
		k route.Kernel
		m *meter
	}
	meteredNeigh struct {
		k neigh.Kernel
		m *meter
	}
)

func (l meteredLinks) Read(names []string) (link.Actual, error) {
	if err := l.m.call(false); err != nil {
		return nil, err
	}
	return l.k.Read(names)
}

func (l meteredLinks) Write(c link.Change) error {
	if err := l.m.call(true); err != nil {
		return err
	}
	return l.k.Write(c)
}

func (r meteredRoutes) Read() (route.Actual, error) {
	if err := r.m.call(false); err != nil {
		return route.Actual{}, err
	}
	return r.k.Read()
}

func (r meteredRoutes) Write(c route.Change) error {
	if err := r.m.call(true); err != nil {
		return err
	}
	return r.k.Write(c)
}

func (n meteredNeigh) Read(devices []string) (neigh.Actual, error) {
	if err := n.m.call(false); err != nil {
		return neigh.Actual{}, err
	}
	return n.k.Read(devices)
}

func (n meteredNeigh) Write(c neigh.Change) error {
	if err := n.m.call(true); err != nil {
		return err
	}
	return n.k.Write(c)
}

// agent is the drivers of one process.
type agent struct {
	links  link.Driver
	routes *route.Driver
	neigh  neigh.Driver
	now    time.Time
}

func (w *world) start(m *meter) *agent {
	return &agent{
		links:  link.Driver{Kernel: meteredLinks{w.links, m}},
		routes: &route.Driver{Kernel: meteredRoutes{w.routes, m}, Owner: owner},
		neigh:  neigh.Driver{Kernel: meteredNeigh{w.neigh, m}},
		now:    time.Unix(1e9, 0),
	}
}

var owner = route.Ownership{Workloads: []string{"cali"}}

// apply runs each driver once, in the order of the agent, and returns the sum of their reports. Time passes before.
func (a *agent) apply(s netstate.State) (sum kernel.Report) {
	a.now = a.now.Add(time.Minute)
	for _, r := range []kernel.Report{
		a.links.Apply(context.Background(), s.Devices),
		a.neigh.Apply(context.Background(), s.Neighbours, s.FDB),
		a.routes.Apply(context.Background(), a.now, s.Routes),
	} {
		sum.Writes += r.Writes
		sum.Waiting = append(sum.Waiting, r.Waiting...)
		sum.Faults = append(sum.Faults, r.Faults...)
		sum.Err = errors.Join(sum.Err, r.Err)
	}
	return sum
}

// converge applies a state until nothing changes, and then checks the kernel. The first run sees new links.
func (a *agent) converge(t *testing.T, w *world, s netstate.State) {
	t.Helper()
	for range 2 {
		if r := a.apply(s); r.Err != nil || len(r.Faults) > 0 {
			t.Fatalf("apply: %v, %v", r.Err, r.Faults)
		}
	}
	if r := a.apply(s); r.Writes != 0 {
		t.Errorf("a run with nothing changed made %d writes", r.Writes)
	}
	w.check(t, s)
}

// check compares what the agent owns in the kernel with the desired state.
func (w *world) check(t *testing.T, s netstate.State) {
	t.Helper()
	got, want := w.owned(t), w.expected(t, s)
	devices, err := w.links.Read(link.Names())
	must(t, err)
	for _, d := range s.Devices {
		if d.VXLAN.NoChecksumOffload && !devices[d.Name].Device.VXLAN.NoChecksumOffload {
			t.Errorf("the checksum offload of %s is on", d.Name)
		}
	}
	for _, line := range got {
		if !slices.Contains(want, line) {
			t.Errorf("the kernel has %s, which is not desired", line)
		}
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("the kernel does not have %s", line)
		}
	}
	if t.Failed() {
		t.Logf("the kernel has:\n%s", strings.Join(got, "\n"))
	}
}

// owned returns what the agent owns in the kernel, one line each.
func (w *world) owned(t *testing.T) (lines []string) {
	t.Helper()
	all, ours := w.state(t)
	_ = all
	return ours
}

// foreign returns the routes of other programs, one line each.
func (w *world) foreign(t *testing.T) (lines []string) {
	t.Helper()
	all, ours := w.state(t)
	for _, line := range all {
		if !slices.Contains(ours, line) {
			lines = append(lines, line)
		}
	}
	return lines
}

// state returns all that the drivers can see, and the part of it that the agent owns.
func (w *world) state(t *testing.T) (all, ours []string) {
	t.Helper()
	links, err := w.links.Read(link.Names())
	must(t, err)
	for _, f := range links {
		// The agent never turns the offload on, so only check looks at it.
		f.Device.VXLAN.NoChecksumOffload = false
		if f.Device.Kind != netstate.IPIP || len(f.Addrs) > 0 {
			ours = append(ours, fmt.Sprintf("device %+v %v %v %s", f.Device, f.Addrs, f.Up, f.Other))
		}
	}
	routes, err := w.routes.Read()
	must(t, err)
	for _, f := range routes.Routes {
		all = append(all, f.String())
		if owner.Owns(f) {
			ours = append(ours, f.String())
		}
	}
	entries, err := w.neigh.Read(neigh.Devices())
	must(t, err)
	for _, e := range entries.Neighbours {
		ours = append(ours, fmt.Sprintf("neighbour %v", e))
	}
	for _, e := range entries.FDB {
		ours = append(ours, fmt.Sprintf("fdb %v", e))
	}
	slices.Sort(all)
	slices.Sort(ours)
	return append(all, ours...), ours
}

// expected returns what the agent owns once a state is in force, in the form of owned.
func (w *world) expected(t *testing.T, s netstate.State) (lines []string) {
	t.Helper()
	for _, d := range s.Devices {
		var addrs []netip.Prefix
		if d.Addr.IsValid() {
			addrs = append(addrs, netip.PrefixFrom(d.Addr, d.Addr.BitLen()))
		}
		d.Addr, d.VXLAN.NoChecksumOffload = netip.Addr{}, false
		lines = append(lines, fmt.Sprintf("device %+v %v %v %s", d, addrs, true, ""))
	}
	actual, err := w.routes.Read()
	must(t, err)
	for _, r := range s.Routes {
		if r.Dest.Addr().Is6() && r.Metric == 0 {
			r.Metric = 1024
		}
		if r.Dev == "" || actual.Links[r.Dev].Up {
			lines = append(lines, r.String())
		}
	}
	for _, n := range s.Neighbours {
		lines = append(lines, fmt.Sprintf("neighbour %v", n))
	}
	for _, e := range s.FDB {
		lines = append(lines, fmt.Sprintf("fdb %v", e))
	}
	return lines
}
