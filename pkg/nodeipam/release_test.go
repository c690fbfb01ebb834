// SPDX-License-Identifier: Apache-2.0

package nodeipam

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/ipam/memstore"
	"calico-cni/pkg/ipam/pool"
	"calico-cni/pkg/pending"
	"calico-cni/pkg/workload"
)

// cluster is a store with one pool, and a node that allocates from it.
type cluster struct {
	Allocations
	t     *testing.T
	store *memstore.Store
	// clock is the wall clock.
	clock time.Time
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t, clock: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}
	now := func() time.Time { return c.clock }
	c.store = memstore.New(now)
	c.store.IPPools = []pool.Pool{{Name: "v4", CIDR: netip.MustParsePrefix("10.0.0.0/24"), BlockSize: 26}}
	c.Allocations = Allocations{
		Store: c.store, Cluster: c.store, LockFile: filepath.Join(t.TempDir(), "lock"), Now: now,
		Log: slog.New(slog.DiscardHandler),
	}
	return c
}

func attachment(ifName string) workload.ID {
	return workload.ID{ContainerID: "c1", IfName: ifName, Namespace: "default", Pod: "p"}
}

// add allocates one address like an ADD on a node.
func (c *cluster) add(node, ifName string) netip.Addr {
	c.t.Helper()
	r := Request{Network: "net", Node: node, ID: attachment(ifName), IPv4: Family{Wanted: true}, Additional: true}
	view, err := c.Gather(c.t.Context(), r)
	if err != nil {
		c.t.Fatal(err)
	}
	g, err := c.Assign(c.t.Context(), view, r)
	if err != nil {
		c.t.Fatal(err)
	}
	return g.Assigned[0].Addr
}

// addAsCalico does the same without the name of the interface, as Calico does.
func (c *cluster) addAsCalico(node, ifName string) netip.Addr {
	c.t.Helper()
	addr := c.add(node, ifName)
	for cidr := range c.store.AllBlocks() {
		row, err := c.store.Blocks().Get(c.t.Context(), cidr)
		if err != nil {
			c.t.Fatal(err)
		}
		for i, a := range row.Value.Attributes {
			if h, ok := row.Value.Holder(addr); ok && a.Owner[ownerInterface] == ifName && h.Owner[ownerInterface] == ifName {
				owner := map[string]string{}
				for key, value := range a.Owner {
					if key != ownerInterface {
						owner[key] = value
					}
				}
				row.Value.Attributes[i].Owner = owner
			}
		}
		if _, err := c.store.Blocks().Update(c.t.Context(), cidr, row); err != nil {
			c.t.Fatal(err)
		}
	}
	return addr
}

// held returns the addresses under the handle.
func (c *cluster) held() string {
	var out []string
	for _, b := range c.store.AllBlocks() {
		for _, h := range b.HeldBy(func(a block.Attribute) bool { return a.Handle == "net.c1" }) {
			out = append(out, h.Addr.String())
		}
	}
	return strings.Join(out, " ")
}

// del releases like a DEL with that evidence.
func (c *cluster) del(ifName string, e Evidence) Freed {
	c.t.Helper()
	held, err := c.Lookup(c.t.Context(), "net", attachment(ifName))
	if err != nil {
		c.t.Fatal(err)
	}
	freed, err := c.Release(c.t.Context(), held, e)
	if err != nil {
		c.t.Fatal(err)
	}
	return freed
}

// TestReleaseMatrix releases addresses that Calico or this implementation allocated, for containers with one and two
// interfaces.
func TestReleaseMatrix(t *testing.T) {
	const calico, ours = "Calico", "ours"
	type allocation struct{ by, ifName string }
	for _, c := range []struct {
		allocated []allocation
		del       string
		// hasResult says that the runtime passes prevResult.
		hasResult bool
		others    Others
		// want has the interfaces whose addresses stay.
		want string
	}{
		{allocated: []allocation{{calico, "eth0"}}, del: "eth0", want: ""},
		{allocated: []allocation{{ours, "eth0"}}, del: "eth0", want: ""},
		{allocated: []allocation{{calico, "net1"}}, del: "net1", want: ""},
		{allocated: []allocation{{calico, "net1"}}, del: "net1", hasResult: true, want: ""},
		{allocated: []allocation{{ours, "net1"}}, del: "net1", want: ""},
		{allocated: []allocation{{ours, "net1"}}, del: "net1", hasResult: true, want: ""},
		{allocated: []allocation{{calico, "net1"}}, del: "net1", others: NoOthers, want: ""},
		// Two interfaces in one network share the handle.
		{allocated: []allocation{{calico, "eth0"}, {ours, "net1"}}, del: "net1", want: "eth0"},
		{allocated: []allocation{{calico, "eth0"}, {ours, "net1"}}, del: "net1", hasResult: true, want: "eth0"},
		{allocated: []allocation{{calico, "eth0"}, {ours, "net1"}}, del: "eth0", want: "net1"},
		{allocated: []allocation{{ours, "eth0"}, {ours, "net1"}}, del: "net1", want: "eth0"},
		{allocated: []allocation{{ours, "eth0"}, {ours, "net1"}}, del: "eth0", want: "net1"},
		{allocated: []allocation{{ours, "eth0"}, {calico, "net1"}}, del: "net1", hasResult: true, want: "eth0"},
		{allocated: []allocation{{calico, "eth0"}, {calico, "net1"}}, del: "net1", hasResult: true, want: "eth0"},
		{allocated: []allocation{{calico, "net1"}, {calico, "net2"}}, del: "net1", hasResult: true, want: "net2"},
		{allocated: []allocation{{calico, "net1"}, {ours, "net2"}}, del: "net1", hasResult: true, want: "net2"},
		{allocated: []allocation{{calico, "net1"}, {ours, "net2"}}, del: "net1", want: "net1 net2"},
		{allocated: []allocation{{calico, "eth0"}, {calico, "net1"}}, del: "net1", others: SomeOthers, want: "eth0 net1"},
		// Calico also releases all addresses of the handle.
		{allocated: []allocation{{calico, "eth0"}, {calico, "net1"}}, del: "eth0", want: ""},
		{allocated: []allocation{{calico, "eth0"}, {calico, "net1"}}, del: "net1", want: ""},
	} {
		name := fmt.Sprintf("%v DEL %s prevResult %t others %s", c.allocated, c.del, c.hasResult, c.others)
		t.Run(name, func(t *testing.T) {
			w := newCluster(t)
			ifNames, e := map[string]string{}, Evidence{Others: c.others}
			for _, a := range c.allocated {
				add := w.add
				if a.by == calico {
					add = w.addAsCalico
				}
				addr := add("n1", a.ifName)
				ifNames[addr.String()] = a.ifName
				if a.ifName == c.del && c.hasResult {
					e.Addrs = append(e.Addrs, addr)
				}
			}
			freed := w.del(c.del, e)
			expect := func(when string) {
				t.Helper()
				var left []string
				for addr := range strings.FieldsSeq(w.held()) {
					left = append(left, ifNames[addr])
				}
				if got := strings.Join(left, " "); got != c.want {
					t.Errorf("%s: addresses of %q are left, want those of %q\n%s", when, got, c.want, w.store)
				}
			}
			expect("after the DEL")
			if freed.All != (c.want == "") {
				t.Errorf("all released: %t\n%s", freed.All, w.store)
			}
			if breaches := w.store.Check(); len(breaches) > 0 {
				t.Error(breaches)
			}
			// The runtime repeats DEL and still passes prevResult.
			if c.hasResult || c.del == "eth0" {
				w.del(c.del, e)
				expect("after a repeated DEL")
			}
		})
	}
}

// TestOwnerNamesInterface ensures that a repeated DEL of net1 does not release the address of eth0.
func TestOwnerNamesInterface(t *testing.T) {
	for _, c := range []struct {
		names        bool
		ifName, want string
	}{{false, "eth0", ""}, {true, "eth0", "eth0"}, {true, "net1", "net1"}, {false, "net1", "net1"}} {
		r := Request{ID: workload.ID{ContainerID: "c1", IfName: c.ifName}, NamesInterface: c.names}
		if got := r.owner(time.Now())[ownerInterface]; got != c.want {
			t.Errorf("NamesInterface %t, for %s: named %q, want %q", c.names, c.ifName, got, c.want)
		}
	}
}

// TestQueuedReleaseDoesNotDependOnTheClock sets the wall clock between the ADD, the DEL that queues its release, and
// the settling.
func TestQueuedReleaseDoesNotDependOnTheClock(t *testing.T) {
	for _, steps := range [][2]time.Duration{
		{-time.Hour, time.Minute}, {time.Hour, time.Minute}, {time.Minute, -time.Hour}, {0, 0}, {-48 * time.Hour, 0},
	} {
		t.Run(fmt.Sprint(steps), func(t *testing.T) {
			w := newCluster(t)
			w.add("n1", "eth0")
			w.clock = w.clock.Add(steps[0])
			c, queue := w.node(t), pending.Queue{Dir: filepath.Join(t.TempDir(), "pending"), Now: w.Now}
			if err := queue.Add(queuedFor("", "")); err != nil {
				t.Fatal(err)
			}
			w.clock = w.clock.Add(steps[1])
			done, err := (pending.Settler{Queue: queue}).Settle(t.Context(), 16, nil, w.settle(c))
			if waiting, _ := queue.Len(); done != 1 || err != nil || waiting != 0 || w.held() != "" {
				t.Errorf("settled %d, %v; %d wait, %q is held\n%s", done, err, waiting, w.held(), w.store)
			}
		})
	}
}

// TestQueuedReleaseWithHeldAddressesIsKept uses containers with the same ID on two nodes, as cnitool creates them.
func TestQueuedReleaseWithHeldAddressesIsKept(t *testing.T) {
	for _, c := range []struct {
		name, node string
		addedOn    string
		addresses  string
		kept       bool
	}{
		{"the node's own", "n1", "n1", "", false},
		{"another node's", "n1", "n2", "", true},
		{"another node's, in prevResult", "n1", "n2", "10.0.0.0", true},
		{"another node's, with another address in prevResult", "n1", "n2", "10.0.0.9", false},
		{"of an unknown node", "", "n2", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newCluster(t)
			addr := w.add(c.addedOn, "eth0")
			r := queuedFor("", "")
			r.Node, r.Addresses = c.node, addrs(c.addresses)
			if c.addresses == "10.0.0.0" {
				r.Addresses = []netip.Addr{addr}
			}
			queue := pending.Queue{Dir: filepath.Join(t.TempDir(), "pending"), Now: w.Now}
			if err := queue.Add(r); err != nil {
				t.Fatal(err)
			}
			_, err := (pending.Settler{Queue: queue}).Settle(t.Context(), 16, nil, w.settle(w.node(t)))
			waiting, _ := queue.Len()
			if kept := waiting == 1; kept != c.kept || errors.Is(err, ErrHeld) != c.kept {
				t.Errorf("kept %t, %v; want %t", kept, err, c.kept)
			}
			if foreign := c.node != "" && c.node != c.addedOn; foreign != (w.held() != "") {
				t.Errorf("held: %q", w.held())
			}
			// The other node releases its address. The queued release can then be settled.
			w.del("eth0", Evidence{})
			if _, err := (pending.Settler{Queue: queue}).Settle(t.Context(), 16, nil, w.settle(w.node(t))); err != nil {
				t.Error(err)
			}
			if waiting, _ := queue.Len(); waiting != 0 {
				t.Error("still queued although nothing is allocated")
			}
		})
	}
}

// node returns a node with an empty queue and an unknown name.
func (c *cluster) node(t *testing.T) *Node {
	t.Helper()
	return &Node{
		Disk:     Disk{Now: c.Now, Boot: func() time.Duration { return time.Hour }, Keep: t.TempDir(), State: t.TempDir()},
		Network:  "net",
		Name:     func() (string, error) { return "", errors.New("no such file") },
		ReadFile: func(string) ([]byte, error) { return nil, errors.New("no such file") },
		Connect:  func() (Connection, error) { return nil, nil },
		Log:      c.Log,
	}
}

// settle returns a function that releases from the store instead of the API server.
func (c *cluster) settle(n *Node) func(ctx context.Context, r pending.Release) error {
	return func(ctx context.Context, r pending.Release) error {
		_, err := n.Releases().carryOut(ctx, c.Allocations, r, workload.ID{ContainerID: r.ContainerID, IfName: r.IfName})
		return err
	}
}

// TestAddOnOtherNodeGetsOwnAddress repeats ADDs of containers with the same ID on two nodes.
func TestAddOnOtherNodeGetsOwnAddress(t *testing.T) {
	w := newCluster(t)
	got := map[string]netip.Addr{}
	for _, node := range []string{"n1", "n2", "n1", "n2"} {
		r := Request{Network: "net", Node: node, ID: attachment("eth0"), IPv4: Family{Wanted: true}}
		view, err := w.Gather(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		g, err := w.Assign(t.Context(), view, r)
		if err != nil {
			t.Fatal(err)
		}
		addr := g.Assigned[0].Addr
		if before, ok := got[node]; ok && before != addr {
			t.Errorf("repeated on %s: %v, want %v", node, addr, before)
		}
		got[node] = addr
	}
	if got["n1"] == got["n2"] {
		t.Errorf("both nodes have %v", got["n1"])
	}
}
