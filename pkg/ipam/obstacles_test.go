// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/ipam/pool"
)

// TestRequestedAddressOfAnUncheckedBlockIsRefused simulates a claim that was killed before its check for overlap. If
// another node could allocate from the block, the owner would take it for one that was checked.
func TestRequestedAddressOfAnUncheckedBlockIsRefused(t *testing.T) {
	s := newStore()
	s.IPPools[0].BlockSize = 29
	unchecked := netip.MustParsePrefix("10.0.0.0/29")
	put(t, s, "b", "10.0.0.0/30", 1)
	key := ipam.AffinityKey{Node: "a", CIDR: unchecked}
	if _, err := s.Affinities().Create(t.Context(), key, ipam.Affinity{State: ipam.Pending}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Blocks().Create(t.Context(), unchecked, block.New(unchecked, "host:a", s.Now())); err != nil {
		t.Fatal(err)
	}
	r := only4("c", "net.c")
	r.Wants[0].Addr = netip.MustParseAddr("10.0.0.6")
	if got, err := assign(s, r); err == nil {
		t.Errorf("node c got %s", got)
	}
	a := &ipam.Allocator{Store: s, Now: s.Now, Parallel: 1, Cache: emptyCacheWithRoom(unchecked)}
	view, err := a.Gather(t.Context(), s, "a", []netip.Prefix{unchecked}, false)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := a.Assign(t.Context(), view, only4("a", "net.a")); err != nil || unchecked.Contains(got[0].Addr) {
		t.Errorf("node a got %v, %v; want an address outside of %s", got, err, unchecked)
	}
	unique(t, s)
}

// TestOwnerlessBlockIsTakenOver removes the affinity of a block in use, as calicoctl does, and releases its address. In
// a pool of one block, the next node needs this block.
func TestOwnerlessBlockIsTakenOver(t *testing.T) {
	for _, strict := range []bool{false, true} {
		for _, cooldown := range []time.Duration{0, testCooldown} {
			s := newStore()
			s.IPPools = []pool.Pool{ofPool("v4", "10.0.0.0/30", 30)}
			s.Settings.Cooldown, s.Settings.StrictAffinity = cooldown, strict
			mustAssign(t, s, only4("a", "net.x"))
			removeAffinities(t, s, "a")
			a := allocatorAt(s, 0)
			h, err := a.Lookup(t.Context(), "net.x")
			if err == nil {
				_, err = a.Release(t.Context(), h, nil, cooldown)
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := assignWith(allocatorAt(s, 24*time.Hour), only4("b", "net.b"))
			if err != nil || got[0].Borrowed {
				t.Errorf("strict affinity %t, cooldown %s: %v, %v; want an address of an own block", strict, cooldown, got, err)
			}
		}
	}
}

// TestRequestedAddressRepairsAffinity requests an address of a block whose take-over by another node was killed. The
// affinity is confirmed before the block counts as verified.
func TestRequestedAddressRepairsAffinity(t *testing.T) {
	s := interruptedTakeover(t)
	a := &ipam.Allocator{Store: s, Now: s.Now, Parallel: 1}
	view, err := a.Gather(t.Context(), s, "a", nil, false)
	if err != nil {
		t.Fatal(err)
	}
	r := only4("a", "net.requested")
	r.Wants[0].Addr = netip.MustParseAddr("10.0.0.2")
	got, err := a.Assign(t.Context(), view, r)
	if err != nil || !view.Verified(got[0].Block) {
		t.Fatal(got, err)
	}
	wantConfirmed(t, s, "a")
}

// TestBlocksWithoutUsableAddressAreNotClaimed reserves all addresses of each block but the network and the broadcast
// address.
func TestBlocksWithoutUsableAddressAreNotClaimed(t *testing.T) {
	s := newStore()
	s.Settings.MaxBlocksPerHost = 2
	for i := range 4 {
		for _, j := range []int{1, 2} {
			s.Reserved = append(s.Reserved, netip.MustParsePrefix(fmt.Sprintf("10.0.0.%d/32", 4*i+j)))
		}
	}
	r := only4("a", "net.x")
	r.Subnet = true
	a := &ipam.Allocator{Store: s, Now: s.Now, Parallel: 1}
	view, err := a.Gather(t.Context(), s, "a", nil, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Room(t.Context(), view, r); err == nil {
		t.Error("Room returns nil")
	}
	got, err := assignWith(a, r)
	if err == nil || !strings.Contains(err.Error(), "4 without an address for this request (shrink an IPReservation") {
		t.Errorf("got %v, %v", got, err)
	}
	if n := countBlocks(s); n > 0 {
		t.Errorf("the failed request left %d blocks", n)
	}
}

// TestAdoptedAddressIsReportedAsBorrowed repeats an ADD that has borrowed an address. The node's record of borrowed
// blocks depends on it.
func TestAdoptedAddressIsReportedAsBorrowed(t *testing.T) {
	s := newStore()
	s.IPPools = []pool.Pool{ofPool("v4", "10.0.0.0/30", 30)}
	mustAssign(t, s, only4("b", "net.owner"))
	a := &ipam.Allocator{Store: s, Now: s.Now, Parallel: 1}
	first, err := assignWith(a, repeatedAdd(only4("a", "net.x")))
	if err != nil || !first[0].Borrowed {
		t.Fatal(first, err)
	}
	again, err := assignWith(a, repeatedAdd(only4("a", "net.x")))
	if err != nil || again[0].Addr != first[0].Addr || !again[0].Borrowed || !again[0].Existing {
		t.Errorf("%+v, %v; want %s, borrowed", again, err, first[0].Addr)
	}
}

// TestRetryLooksAtOtherBlocksOfALargePool uses all blocks that the first request may look at.
func TestRetryLooksAtOtherBlocksOfALargePool(t *testing.T) {
	s := newStore()
	s.Settings.StrictAffinity = true
	p := ofPool("v4", "10.0.0.0/18", 30) // 4096 blocks
	s.IPPools = []pool.Pool{p}
	n := 0
	for cidr := range p.Space(pool.NewRanges(nil), nil).Walk("a net.first") {
		if n++; n > 2112 { // the bound, and the rest of a batch
			break
		}
		put(t, s, "b", cidr.String(), 4)
	}
	if got, err := assign(s, only4("a", "net.first")); err == nil {
		t.Fatalf("the first request got %s", got)
	}
	if _, err := assign(s, only4("a", "net.second")); err != nil {
		t.Error("the second request:", err)
	}
}

// TestEmptyBlockThatOverlapsAnOwnBlockIsTakenOver lets a pool be full, except for the node's own block, which an empty
// block of another node overlaps.
func TestEmptyBlockThatOverlapsAnOwnBlockIsTakenOver(t *testing.T) {
	s := newStore()
	s.IPPools = []pool.Pool{ofPool("v4", "10.0.0.0/29", 30)}
	put(t, s, "a", "10.0.0.0/30", 1)
	put(t, s, "b", "10.0.0.0/31", 0)
	put(t, s, "c", "10.0.0.4/30", 4)
	if _, err := assignWith(allocatorAt(s, time.Hour), only4("a", "net.x")); err != nil {
		t.Error(err)
	}
	unique(t, s)
}
