// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/ipam/memstore"
)

// betweenCalls is a store in which another process acts once: before the first call named before that follows a call
// named after.
type betweenCalls struct {
	*crashing
	after, before string
	act           func()
	seen          bool
}

func actBetween(s *memstore.Store, after, before string, act func()) *crashing {
	i := &betweenCalls{after: after, before: before, act: act}
	i.crashing = &crashing{Store: s, left: 1 << 30, onCall: i.onCall}
	return i.crashing
}

func (i *betweenCalls) onCall(what string) {
	switch {
	case what == i.after:
		i.seen = true
	case what == i.before && i.seen && i.act != nil:
		act := i.act
		i.act = nil
		act()
	}
}

// TestAssignWithConcurrentChangesBetweenWrites lets other processes act after an assignment has counted its handle and
// before it writes the block. The store satisfies the invariants afterwards, and every write names a row that was read.
func TestAssignWithConcurrentChangesBetweenWrites(t *testing.T) {
	releaseAll := func(t *testing.T, s *memstore.Store) {
		t.Helper()
		a := &ipam.Allocator{Store: s, Now: s.Now}
		for i := range 4 {
			cidr := netip.MustParsePrefix(fmt.Sprintf("10.0.0.%d/30", 4*i))
			if _, err := a.ReleaseIfEmpty(context.Background(), "a", cidr, 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, c := range map[string]struct {
		act  func(*testing.T, *memstore.Store)
		want error
	}{
		"its container is deleted": {func(t *testing.T, s *memstore.Store) { mustRelease(t, s, "net.x") }, ipam.ErrReleased},
		"its block is released":    {releaseAll, nil},
		"its block is released, and its container deleted": {func(t *testing.T, s *memstore.Store) {
			releaseAll(t, s)
			mustRelease(t, s, "net.x")
		}, ipam.ErrReleased},
		"its block is released, and all blocks are claimed by others": {func(t *testing.T, s *memstore.Store) {
			releaseAll(t, s)
			for _, node := range []string{"b", "c", "d", "e"} {
				mustAssign(t, s, only4(node, "net."+node))
			}
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore()
			c2 := actBetween(s, "create handle", "update block", func() { c.act(t, s) })
			_, err := assignWith(&ipam.Allocator{Store: c2, Now: s.Now, Parallel: 1}, only4("a", "net.x"))
			if !errors.Is(err, c.want) || errors.Is(err, memstore.ErrProtocol) || len(s.Check()) > 0 {
				t.Errorf("%v, want %v; broken: %v\n%s", err, c.want, s.Check(), s)
			}
			mustRelease(t, s, "net.x")
			if bad := s.Check(); len(bad) > 0 {
				t.Error(bad)
			}
		})
	}
}

// TestRecreatedBlockIsCheckedForOverlap lets another process of the node release a block and create it again, and
// another node create a larger block in between, while an assignment uses the old row of the block.
func TestRecreatedBlockIsCheckedForOverlap(t *testing.T) {
	s := newStore()
	cidr, larger := netip.MustParsePrefix("10.0.0.0/30"), netip.MustParsePrefix("10.0.0.0/29")
	mustAssign(t, s, only4("a", "net.old"))
	act := func() {
		ctx := context.Background()
		mustRelease(t, s, "net.old")
		released, err := (&ipam.Allocator{Store: s, Now: s.Now}).ReleaseIfEmpty(ctx, "a", cidr, 0)
		if err != nil || !released {
			t.Fatalf("released %v, %v", released, err)
		}
		b := block.New(larger, "host:b", s.Now())
		b.Assign(block.Attribute{Handle: "net.b"}, nil)
		counts := map[netip.Prefix]int{larger: 1}
		_, handle := s.Handles().Create(ctx, "net.b", ipam.Handle{ID: "net.b", Counts: counts})
		_, first := s.Blocks().Create(ctx, larger, b)
		key := ipam.AffinityKey{Node: "a", CIDR: cidr}
		_, claim := s.Affinities().Create(ctx, key, ipam.Affinity{State: ipam.Pending})
		_, second := s.Blocks().Create(ctx, cidr, block.New(cidr, "host:a", s.Now()))
		if err := errors.Join(handle, first, claim, second); err != nil {
			t.Fatal(err)
		}
	}
	store := actBetween(s, "create handle", "update block", act)
	got, err := assignWith(&ipam.Allocator{Store: store, Now: s.Now, Parallel: 1}, only4("a", "net.x"))
	if err != nil || larger.Contains(got[0].Addr) || len(s.Check()) > 0 {
		t.Errorf("%v, %v; broken: %v\n%s", got, err, s.Check(), s)
	}
}
