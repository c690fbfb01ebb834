// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"strings"
	"testing"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/memstore"
	"calico-cni/pkg/ipam/pool"
)

// interruptedTakeover returns a store in which node b was killed while it took over a block of node a, after it had
// marked the affinity. Node a has allocated an address from the block before the mark.
func interruptedTakeover(t *testing.T) *memstore.Store {
	t.Helper()
	s := newStore()
	s.IPPools = []pool.Pool{ofPool("v4", "10.0.0.0/30", 30)}
	mustAssign(t, s, only4("a", "net.first"))
	mustRelease(t, s, "net.first")
	c := &crashing{Store: s, left: 1 << 30}
	read := false
	c.onCall = func(what string) {
		read = read || what == "get affinity"
		if read && what == "update affinity" {
			c.onCall = nil
			mustAssign(t, s, only4("a", "net.pod"))
			c.left, c.after = 1, true // killed after the mark
		}
	}
	if _, err := assignWith(&ipam.Allocator{Store: c, Now: later(), Parallel: 1}, only4("b", "net.b")); err == nil {
		t.Fatal("node b was not killed")
	}
	return s
}

func wantConfirmed(t *testing.T, s *memstore.Store, node string) {
	t.Helper()
	rows, err := s.AffinitiesOf(t.Context(), node, false)
	if err != nil || len(rows) == 0 {
		t.Errorf("%v, %d affinities", err, len(rows))
	}
	for _, row := range rows {
		if row.Value.State != ipam.Confirmed {
			t.Errorf("affinity of %s is %s although pods use its block\n%s", row.Key.CIDR, row.Value.State, s)
		}
	}
}

// TestUnconfirmedAffinityIsRepairedDespiteCache runs an ADD with a cached block that is not empty, and verifies its
// affinity.
func TestUnconfirmedAffinityIsRepairedDespiteCache(t *testing.T) {
	s := interruptedTakeover(t)
	n := cacheOf(t, s)
	a, c := traced(s, n)
	add := func(handle string) ipam.View {
		t.Helper()
		view, err := a.Gather(t.Context(), s, "a", n.withRoom, true)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Assign(t.Context(), view, only4("a", handle)); err != nil {
			t.Fatal(err)
		}
		return view
	}
	if view := add("net.1"); !view.Verified(n.withRoom[0]) {
		t.Error("the block does not count as verified")
	}
	wantConfirmed(t, s, "a")
	c.trace = nil
	if view := add("net.2"); !view.FromCache || !view.Verified(n.withRoom[0]) {
		t.Error("the affinity was not verified with the cached block")
	}
	wantCalls(t, c, "get affinity", "create handle", "update block")
	if bad := s.Check(); len(bad) > 0 {
		t.Errorf("%s\n%s", strings.Join(bad, "\n"), s)
	}
}

// TestUnconfirmedAffinityOfEmptyCachedBlockIsRepaired runs an ADD with a cached block that is empty. It reads the
// affinity at once.
func TestUnconfirmedAffinityOfEmptyCachedBlockIsRepaired(t *testing.T) {
	s := interruptedTakeover(t)
	mustRelease(t, s, "net.pod")
	n := cacheOf(t, s)
	a, _ := traced(s, n)
	assignCached(t, a, s, n, only4("a", "net.x"))
	wantConfirmed(t, s, "a")
}

// TestUnconfirmedAffinityIsRepairedFirst lists the affinities of a node that has a newer block with room.
func TestUnconfirmedAffinityIsRepairedFirst(t *testing.T) {
	s := interruptedTakeover(t)
	s.IPPools = append(s.IPPools, ofPool("more", "10.1.0.0/30", 30))
	put(t, s, "a", "10.1.0.0/30", 1)
	mustAssign(t, s, only4("a", "net.x"))
	wantConfirmed(t, s, "a")
}

// TestGatherWithoutAffinityOfCachedBlock verifies a cached block whose affinity was deleted.
func TestGatherWithoutAffinityOfCachedBlock(t *testing.T) {
	s := newStore()
	mustAssign(t, s, only4("a", "net.first"))
	n := cacheOf(t, s)
	removeAffinities(t, s, "a")
	a, _ := traced(s, n)
	view, err := a.Gather(t.Context(), s, "a", n.withRoom, true)
	if err != nil || view.FromCache || len(view.Affinities) != 0 {
		t.Fatalf("got %+v, %v, want the list of the affinities", view.Affinities, err)
	}
	if _, err := a.Assign(t.Context(), view, only4("a", "net.x")); err != nil {
		t.Fatal(err)
	}
	wantConfirmed(t, s, "a")
	if bad := s.Check(); len(bad) > 0 {
		t.Errorf("%s\n%s", strings.Join(bad, "\n"), s)
	}
}
