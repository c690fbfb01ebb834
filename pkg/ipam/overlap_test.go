// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/ipam/memstore"
	"calico-cni/pkg/ipam/pool"
)

// put stores a block and its affinity like another writer, with the first n addresses allocated.
func put(t testing.TB, s *memstore.Store, node, cidr string, n int) {
	t.Helper()
	p := netip.MustParsePrefix(cidr)
	b := block.New(p, "host:"+node, s.Now())
	for i := range n {
		id := fmt.Sprintf("old.%s-%d", p.Addr(), i)
		if _, ok := b.Assign(block.Attribute{Handle: id, Owner: map[string]string{"node": node}}, nil); !ok {
			t.Fatal("the block is full")
		}
		h := ipam.Handle{ID: id, Counts: map[netip.Prefix]int{p: 1}}
		if _, err := s.Handles().Create(context.Background(), id, h); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Blocks().Create(context.Background(), p, b); err != nil {
		t.Fatal(err)
	}
	key := ipam.AffinityKey{Node: node, CIDR: p}
	if _, err := s.Affinities().Create(context.Background(), key, ipam.Affinity{State: ipam.Confirmed}); err != nil {
		t.Fatal(err)
	}
}

// unique fails the test if an address is allocated twice, in one block or in two.
func unique(t testing.TB, s *memstore.Store) {
	t.Helper()
	seen := map[netip.Addr]string{}
	for cidr, b := range s.AllBlocks() {
		for _, h := range b.HeldBy(func(block.Attribute) bool { return true }) {
			owner, _ := b.Holder(h.Addr)
			if before, ok := seen[h.Addr]; ok {
				t.Errorf("%s is allocated to %s and to %s in %s\n%s", h.Addr, before, owner.Handle, cidr, s)
			}
			seen[h.Addr] = owner.Handle
		}
	}
	if bad := s.Check(); len(bad) > 0 {
		t.Errorf("%s\n%s", strings.Join(bad, "\n"), s)
	}
}

// TestAddressesAreUniqueAfterBlockSizeChange fills a pool after its blockSize changed, with the old blocks
// on this node or another, and smaller or larger than the new ones.
func TestAddressesAreUniqueAfterBlockSizeChange(t *testing.T) {
	for _, c := range []struct{ old, size int }{{30, 31}, {30, 29}, {31, 30}, {32, 29}, {29, 32}} {
		for _, node := range []string{"a", "b"} {
			for _, strict := range []bool{false, true} {
				t.Run(fmt.Sprintf("%d to %d, old blocks of %s, strict %v", c.old, c.size, node, strict), func(t *testing.T) {
					s := newStore()
					s.Settings.StrictAffinity = strict
					put(t, s, node, fmt.Sprintf("10.0.0.0/%d", c.old), 1)
					s.IPPools[0].BlockSize = c.size
					allocated := 0
					for i := range 20 {
						_, err := assign(s, only4("a", fmt.Sprint("net.a", i)))
						if err != nil && !errors.Is(err, ipam.ErrNoAddress) {
							t.Fatal(err)
						}
						if err == nil {
							allocated++
						}
					}
					unique(t, s)
					// All addresses are available except those of the larger of the two blocks around the address in
					// use.
					if least := 16 - 1<<(32-min(c.old, c.size)); allocated < least {
						t.Errorf("%d addresses allocated, want at least %d\n%s", allocated, least, s)
					}
				})
			}
		}
	}
}

// TestNoAllocationFromOverlappingBlock gives a node a block that overlaps another one, as other writers may do.
func TestNoAllocationFromOverlappingBlock(t *testing.T) {
	s := newStore()
	put(t, s, "a", "10.0.0.0/30", 1)
	put(t, s, "b", "10.0.0.2/31", 1)
	for i := range 12 {
		if _, err := assign(s, only4([]string{"a", "b", "c"}[i%3], fmt.Sprint("net.", i))); err != nil {
			t.Fatalf("%d: %v\n%s", i, err, s)
		}
	}
	unique(t, s)
	_, err := assign(s, only4("a", "net.late"))
	if !errors.Is(err, ipam.ErrNoAddress) ||
		!strings.Contains(err.Error(), "10.0.0.0/30") || !strings.Contains(err.Error(), "10.0.0.2/31") {
		t.Errorf("the error does not name the blocks: %v", err)
	}
	unique(t, s)
	mustRelease(t, s, "old.10.0.0.0-0")
	if countHeld(s.AllBlocks(), "old.10.0.0.0-0", false) != 0 {
		t.Errorf("an address of an overlapped block was not released\n%s", s)
	}
}

// TestIncompleteClaimIsCheckedBeforeConfirm covers claims that a crash has interrupted, with and without allocated
// addresses.
func TestIncompleteClaimIsCheckedBeforeConfirm(t *testing.T) {
	for _, state := range []ipam.State{ipam.Pending, ipam.PendingDeletion} {
		for used := range 2 {
			s := newStore()
			put(t, s, "b", "10.0.0.4/31", 1)
			put(t, s, "a", "10.0.0.0/29", used)
			key := ipam.AffinityKey{Node: "a", CIDR: netip.MustParsePrefix("10.0.0.0/29")}
			row, err := s.Affinities().Get(context.Background(), key)
			if err != nil {
				t.Fatal(err)
			}
			row.Value.State = state
			if _, err := s.Affinities().Update(context.Background(), key, row); err != nil {
				t.Fatal(err)
			}
			s.IPPools[0].BlockSize = 29
			got := mustAssign(t, s, only4("a", "net.x"))
			if netip.MustParsePrefix("10.0.0.0/29").Contains(netip.MustParseAddr(got)) {
				t.Errorf("%s, %d in use: %s is from the overlapped block\n%s", state, used, got, s)
			}
			if _, left := s.AllBlocks()[key.CIDR]; left != (used > 0) {
				t.Errorf("%s, %d in use: the block exists: %v\n%s", state, used, left, s)
			}
		}
	}
}

// TestNestedPoolsShareNoAddress fills two pools, one inside the other, from two nodes.
func TestNestedPoolsShareNoAddress(t *testing.T) {
	for _, sizes := range [][2]int{{30, 31}, {30, 32}, {31, 30}, {29, 30}} {
		s := newStore()
		s.IPPools = []pool.Pool{
			{Name: "outer", CIDR: netip.MustParsePrefix("10.0.0.0/27"), BlockSize: sizes[0]},
			{Name: "inner", CIDR: netip.MustParsePrefix("10.0.0.8/30"), BlockSize: sizes[1]},
		}
		if s.IPPools[1].Validate() != nil {
			t.Fatal(sizes)
		}
		for i := range 80 {
			r := only4(fmt.Sprint("n", i%2), fmt.Sprint("net.", i))
			r.Wants[0].Pools = []string{s.IPPools[i/40].Name}
			got, err := assign(s, r)
			if err != nil && !errors.Is(err, ipam.ErrNoAddress) {
				t.Fatal(err)
			}
			if err == nil && s.IPPools[1].CIDR.Contains(netip.MustParseAddr(got)) != (r.Wants[0].Pools[0] == "inner") {
				t.Errorf("sizes %v: %s was allocated for pool %s", sizes, got, r.Wants[0].Pools[0])
			}
		}
		unique(t, s)
	}
}

// TestConcurrentClaimsOfOverlappingBlocks runs the ADD of one node before each call of the ADD of another one. Their
// blocks overlap. Nodes with different names start at different blocks.
func TestConcurrentClaimsOfOverlappingBlocks(t *testing.T) {
	for n := 1; n < 24; n++ {
		for _, other := range []string{"b", "c", "d", "e", "f"} {
			claimConcurrently(t, n, "large", other, "small")
			claimConcurrently(t, n, "small", other, "large")
		}
	}
}

func claimConcurrently(t *testing.T, n int, pools1, other, pools2 string) {
	t.Helper()
	s := newStore()
	s.IPPools = []pool.Pool{
		{Name: "large", CIDR: netip.MustParsePrefix("10.0.0.0/31"), BlockSize: 31},
		{Name: "small", CIDR: netip.MustParsePrefix("10.0.0.0/31"), BlockSize: 32},
	}
	ask := func(store ipam.Store, node, pool string) error {
		r := only4(node, "net."+node)
		r.Wants[0].Pools = []string{pool}
		_, err := assignWith(&ipam.Allocator{Store: store, Now: s.Now, Parallel: 1}, r)
		return ignore(err, ipam.ErrNoAddress)
	}
	first, calls := &crashing{Store: s, left: 1 << 30}, 0
	first.onCall = func(string) {
		if calls++; calls == n {
			if err := ask(s, other, pools2); err != nil {
				t.Errorf("call %d: second: %v", n, err)
			}
		}
	}
	if err := ask(first, "a", pools1); err != nil {
		t.Errorf("call %d: first: %v\n%q", n, err, first.trace)
	}
	unique(t, s)
	if countHeld(s.AllBlocks(), "net.a", false)+countHeld(s.AllBlocks(), "net."+other, false) == 0 {
		t.Errorf("call %d: neither node got an address\n%q\n%s", n, first.trace, s)
	}
}

// TestCachedBlockOfOtherSizeIsCheckedForOverlap caches a block of the old size of its pool. Another writer claims a
// block of the new size that overlaps it.
func TestCachedBlockOfOtherSizeIsCheckedForOverlap(t *testing.T) {
	s := newStore()
	s.IPPools[0].CIDR = netip.MustParsePrefix("10.0.0.0/29")
	mustAssign(t, s, only4("a", "net.running"))
	cache := cacheOf(t, s)
	s.IPPools[0].BlockSize = 29
	old := slices.Collect(maps.Keys(s.AllBlocks()))[0]
	put(t, s, "b", "10.0.0.0/29", 0)
	a, _ := traced(s, cache)
	view, err := a.Gather(t.Context(), s, "a", cache.WithRoom(), false)
	if err != nil {
		t.Fatal(err)
	}
	got, err := a.Assign(t.Context(), view, only4("a", "net.x"))
	if err == nil || !strings.Contains(err.Error(), old.String()) {
		t.Errorf("got %v, %v, want that %s is not used\n%s", got, err, old, s)
	}
}

// TestWalkLeavesOutOverlappedBlocks creates blocks of other sizes that overlap most blocks of a pool. After the first
// collision, a node does not try to claim other overlapped blocks.
func TestWalkLeavesOutOverlappedBlocks(t *testing.T) {
	for _, node := range []string{"a", "b", "c", "d", "e", "f"} {
		s := newStore()
		s.IPPools = []pool.Pool{ofPool("v4", "10.0.0.0/25", 32)}
		for _, cidr := range []string{"10.0.0.0/26", "10.0.0.64/27", "10.0.0.96/28"} {
			put(t, s, "other", cidr, 0)
		}
		s.Settings.StrictAffinity = true
		a, calls := traced(s, nil)
		got, err := assignWith(a, only4(node, "net.x"))
		if err != nil {
			t.Fatalf("node %s: %v", node, err)
		}
		created := strings.Count(strings.Join(calls.trace, "\n"), "create block")
		if created > 2 || !netip.MustParsePrefix("10.0.0.112/28").Contains(got[0].Addr) {
			t.Errorf("node %s got %s after %d claims, want at most 2", node, got[0].Addr, created)
		}
	}
}
