// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/ipam/memstore"
)

// fakeCache is a block cache whose contents tests can set.
type fakeCache struct {
	withRoom []netip.Prefix
	blocks   map[netip.Prefix]ipam.Row[block.Block]
}

func (n *fakeCache) WithRoom() []netip.Prefix { return n.withRoom }

func (n *fakeCache) Get(cidr netip.Prefix) (ipam.Row[block.Block], bool) {
	row, ok := n.blocks[cidr]
	row.Value = row.Value.Clone()
	return row, ok
}

func (n *fakeCache) Put(cidr netip.Prefix, row ipam.Row[block.Block]) {
	row.Value = row.Value.Clone()
	n.blocks[cidr] = row
}

func (n *fakeCache) Replace(cidr netip.Prefix, row ipam.Row[block.Block]) {
	if _, ok := n.blocks[cidr]; ok {
		n.Put(cidr, row)
	}
}

func (n *fakeCache) Delete(cidr netip.Prefix) { delete(n.blocks, cidr) }

// cacheOf returns a cache of all blocks as they are now.
func cacheOf(t *testing.T, s *memstore.Store) *fakeCache {
	t.Helper()
	n := &fakeCache{blocks: map[netip.Prefix]ipam.Row[block.Block]{}}
	for _, cidr := range slices.SortedFunc(maps.Keys(s.AllBlocks()), netip.Prefix.Compare) {
		row, err := s.Blocks().Get(context.Background(), cidr)
		if err != nil {
			t.Fatal(err)
		}
		n.withRoom, n.blocks[cidr] = append(n.withRoom, cidr), row
	}
	return n
}

// traced returns an allocator whose calls to the store are recorded.
func traced(s *memstore.Store, cache ipam.BlockCache) (*ipam.Allocator, *crashing) {
	c := &crashing{Store: s, left: 1 << 30}
	return &ipam.Allocator{Store: c, Now: s.Now, Parallel: 1, Cache: cache}, c
}

// assignCached gathers a view from the cache, and assigns.
func assignCached(t *testing.T, a *ipam.Allocator, s *memstore.Store, n *fakeCache, r ipam.Request) []ipam.Assigned {
	t.Helper()
	view, err := a.Gather(context.Background(), s, r.Node, n.withRoom, false)
	if err == nil {
		var got []ipam.Assigned
		if got, err = a.Assign(context.Background(), view, r); err == nil {
			return got
		}
	}
	t.Fatalf("assign: %v\n%s", err, s)
	return nil
}

func wantCalls(t *testing.T, c *crashing, want ...string) {
	t.Helper()
	if diff := cmp.Diff(strings.Join(want, "\n"), strings.Join(c.trace, "\n")); diff != "" {
		t.Errorf("calls to the store (-want +got):\n%s", diff)
	}
	c.trace = nil
}

func TestCachedBlockIsWrittenWithoutRead(t *testing.T) {
	s := newStore()
	mustAssign(t, s, only4("a", "net.first"))
	n := cacheOf(t, s)
	a, c := traced(s, n)
	assignCached(t, a, s, n, only4("a", "net.x"))
	wantCalls(t, c, "create handle", "update block")
	assignCached(t, a, s, n, only4("a", "net.y"))
	wantCalls(t, c, "create handle", "update block")
	if err := release(a, "net.x"); err != nil {
		t.Fatal(err)
	}
	wantCalls(t, c, "get handle", "update block", "delete handle")
	assignCached(t, a, s, n, only4("a", "net.z"))
	wantCalls(t, c, "create handle", "update block")
}

func TestStaleCachedBlockIsReadAgain(t *testing.T) {
	s := newStore()
	mustAssign(t, s, only4("a", "net.first"))
	n := cacheOf(t, s)
	mustAssign(t, s, only4("a", "net.second"))
	a, c := traced(s, n)
	got := assignCached(t, a, s, n, only4("a", "net.x"))
	wantCalls(t, c, "create handle", "update block", "get block", "get handle", "update handle", "update block")
	if want := "10.0.0.2"; got[0].Addr.String() != want {
		t.Errorf("got %v, want %s", got[0].Addr, want)
	}
}

// TestCachedFullBlockIsReadBeforeItCountsAsFull caches a full block, and then frees an address of it.
func TestCachedFullBlockIsReadBeforeItCountsAsFull(t *testing.T) {
	s := newStore()
	for _, handle := range []string{"net.a", "net.b", "net.c", "net.d"} {
		mustAssign(t, s, only4("a", handle))
	}
	n := cacheOf(t, s)
	mustRelease(t, s, "net.b")
	a, _ := traced(s, n)
	got := assignCached(t, a, s, n, only4("a", "net.x"))
	if want := "10.0.0.1"; got[0].Addr.String() != want || len(s.AllBlocks()) != 1 {
		t.Errorf("got %v of %d blocks, want %s of the first", got[0].Addr, len(s.AllBlocks()), want)
	}
}

// TestCachedBlockIsReadBeforeReleaseFindsNothing releases the addresses of two interfaces of a container. The cached
// block is from before the second one was allocated.
func TestCachedBlockIsReadBeforeReleaseFindsNothing(t *testing.T) {
	s := newStore()
	first, second := only4("a", "net.x"), only4("a", "net.x")
	first.Owner["interface"], second.Owner["interface"] = "eth0", "eth1"
	mustAssign(t, s, first)
	n := cacheOf(t, s)
	mustAssign(t, s, second)
	a, _ := traced(s, n)
	release := func(ifName string) {
		t.Helper()
		h, err := a.Lookup(context.Background(), "net.x")
		if err != nil {
			t.Fatal(err)
		}
		mine := func(owner map[string]string) bool { return owner["interface"] == ifName }
		if _, err := a.Release(context.Background(), h, mine, 0); err != nil {
			t.Fatal(err)
		}
	}
	before := n.blocks[n.withRoom[0]]
	release("eth0")
	// The handle counts one address now, and the stale block has one: the address of the other interface.
	n.blocks[n.withRoom[0]] = before
	release("eth1")
	if left := s.String(); strings.Contains(left, "net.x") {
		t.Errorf("the address of the second interface is left:\n%s", left)
	}
}

// TestAssignAfterLockWaitUsesBlockClaimedMeanwhile lets a request wait for the node's lock. Meanwhile another request
// of the node takes the last address of the cached block and claims a new one. The waiting request uses the new block
// without listing the affinities of the node.
func TestAssignAfterLockWaitUsesBlockClaimedMeanwhile(t *testing.T) {
	s := newStore()
	for _, handle := range []string{"net.a", "net.b", "net.c"} {
		mustAssign(t, s, only4("a", handle))
	}
	n := cacheOf(t, s)
	a, c := traced(s, n)
	view, err := a.Gather(context.Background(), s, "a", n.withRoom, false)
	if err != nil {
		t.Fatal(err)
	}
	others := func() {
		mustAssign(t, s, only4("a", "net.d"))
		mustAssign(t, s, only4("a", "net.e"))
		*n = *cacheOf(t, s)
		n.withRoom = n.withRoom[1:]
	}
	a.LockNode = func(context.Context) bool { others(); return true }
	got, err := a.Assign(context.Background(), view, only4("a", "net.x"))
	if err != nil || got[0].Addr.String() != "10.0.0.5" {
		t.Errorf("got %v, %v, want the second address of the second block", got, err)
	}
	// The first update confirms the handle after the wait, the second moves its count to the other block.
	wantCalls(t, c, "create handle", "update handle", "update handle", "update block")
}

func TestDeletedCachedBlockIsReplaced(t *testing.T) {
	s := newStore()
	mustAssign(t, s, only4("a", "net.first"))
	n := cacheOf(t, s)
	mustRelease(t, s, "net.first")
	done, err := (&ipam.Allocator{Store: s, Now: s.Now}).ReleaseIfEmpty(context.Background(), "a", n.withRoom[0], 0)
	if err != nil || !done {
		t.Fatal(done, err)
	}
	a, _ := traced(s, n)
	got := assignCached(t, a, s, n, only4("a", "net.x"))
	if row, ok := n.Get(got[0].Block); !ok || len(n.blocks) != 1 || row.Value.Usage().Used != 1 || len(s.Check()) > 0 {
		t.Errorf("%v; cached %v\n%s", got, n.blocks, s)
	}
	if err := release(a, "net.x"); err != nil || len(s.Check()) > 0 {
		t.Errorf("%v\n%s", err, s)
	}
}
