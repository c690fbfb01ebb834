// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"context"
	"net/netip"
	"testing"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
)

// emptyCacheWithRoom returns the cache of a node that had room in a block before the block was deleted.
func emptyCacheWithRoom(cidr netip.Prefix) *fakeCache {
	return &fakeCache{withRoom: []netip.Prefix{cidr}, blocks: map[netip.Prefix]ipam.Row[block.Block]{}}
}

// specific requests 10.0.0.0 for node a. The address is allocated in a larger block of node b.
func specific() ipam.Request {
	r := only4("a", "net.p2")
	r.Wants[0].Addr = netip.MustParseAddr("10.0.0.0")
	return r
}

// TestUncheckedBlockIsCheckedDespiteCache lets a request use a block that another process of the node has created but
// not checked for overlap yet. A cache entry for the same CIDR does not replace the check.
func TestUncheckedBlockIsCheckedDespiteCache(t *testing.T) {
	s := newStore()
	cidr := netip.MustParsePrefix("10.0.0.0/30")
	put(t, s, "b", "10.0.0.0/29", 1)
	claimer := actBetween(s, "create block", "read overlapping blocks", func() {
		a := &ipam.Allocator{Store: s, Now: s.Now, Parallel: 1, Cache: emptyCacheWithRoom(cidr)}
		if got, err := assignWith(a, specific()); err == nil {
			t.Errorf("assigned %v, which is allocated to another node", got)
		}
	})
	if _, err := (&ipam.Allocator{Store: claimer, Now: s.Now, Parallel: 1}).Claim(t.Context(), "a", cidr, 0); err != nil {
		t.Fatal(err)
	}
	unique(t, s)
}

// TestUncheckedBlockIsCheckedAfterCrash is the same after the process that claimed the block was killed before its
// check.
func TestUncheckedBlockIsCheckedAfterCrash(t *testing.T) {
	s := newStore()
	ctx, cidr := context.Background(), netip.MustParsePrefix("10.0.0.0/30")
	put(t, s, "b", "10.0.0.0/29", 1)
	key := ipam.AffinityKey{Node: "a", CIDR: cidr}
	if _, err := s.Affinities().Create(ctx, key, ipam.Affinity{State: ipam.Pending}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Blocks().Create(ctx, cidr, block.New(cidr, "host:a", s.Now())); err != nil {
		t.Fatal(err)
	}
	a := &ipam.Allocator{Store: s, Now: s.Now, Parallel: 1, Cache: emptyCacheWithRoom(cidr)}
	if got, err := assignWith(a, specific()); err == nil {
		t.Errorf("assigned %v, which is allocated to another node", got)
	}
	unique(t, s)
}

// TestNestedPoolWithinBlockSharesNoAddress lets another writer claim a block without a check for overlap. The block
// belongs to a pool that lies within a block of node a and does not begin at its first address.
func TestNestedPoolWithinBlockSharesNoAddress(t *testing.T) {
	s := newStore()
	mustAssign(t, s, only4("a", "net.first"))
	n := cacheOf(t, s)
	outer := n.withRoom[0]
	inner := netip.PrefixFrom(outer.Addr().Next().Next(), 31)
	s.IPPools = append(s.IPPools, ofPool("inner", inner.String(), 31))
	put(t, s, "b", inner.String(), 2)
	for _, handle := range []string{"net.1", "net.2", "net.3"} {
		a := &ipam.Allocator{Store: s, Now: s.Now, Parallel: 1, Cache: n}
		r := only4("a", handle)
		r.Wants[0].Pools = []string{s.IPPools[0].Name}
		view, err := a.Gather(context.Background(), s, "a", n.withRoom, false)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Assign(context.Background(), view, r); err != nil {
			t.Fatal(err)
		}
	}
	unique(t, s)
}
