// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/memstore"
	"calico-cni/pkg/ipam/pool"
	"calico-cni/pkg/selector"
)

func TestUnselectedEmptyBlocksAreReleased(t *testing.T) {
	rack, err := selector.Parse("rack == '2'")
	if err != nil {
		t.Fatal(err)
	}
	move := func(s *memstore.Store) {
		s.IPPools[0].Node = rack
		s.IPPools = append(s.IPPools, pool.Pool{Name: "new", CIDR: netip.MustParsePrefix("10.9.0.0/28"), BlockSize: 30})
	}
	t.Run("by the release of the last address", func(t *testing.T) {
		s := newStore()
		fill(t, s, "a", 2)
		move(s)
		released := func(handle string) {
			a := &ipam.Allocator{Store: s, Now: s.Now}
			h, err := a.Lookup(context.Background(), handle)
			if err != nil {
				t.Fatal(err)
			}
			got, err := a.Release(context.Background(), h, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			if err := a.ReleaseUnselected(context.Background(), s, got.Emptied, 0); err != nil {
				t.Fatal(err)
			}
		}
		released("net.a-0")
		if countBlocks(s) != 1 {
			t.Fatalf("a block in use was released:\n%s", s)
		}
		released("net.a-1")
		wantStore(t, s, "")
	})
	t.Run("before a new block is claimed", func(t *testing.T) {
		s := newStore()
		fill(t, s, "a", 1)
		mustRelease(t, s, "net.a-0")
		move(s)
		mustAssign(t, s, only4("a", "net.new"))
		text := s.String()
		if countBlocks(s) != 1 || !strings.Contains(text, "block 10.9.0.") || strings.Contains(text, "affinity a 10.0.") {
			t.Errorf("store:\n%s", text)
		}
	})
	t.Run("not while the pool selects the node", func(t *testing.T) {
		s := newStore()
		fill(t, s, "a", 1)
		a := &ipam.Allocator{Store: s, Now: s.Now}
		rows, _ := s.AffinitiesOf(context.Background(), "a", false)
		mustRelease(t, s, "net.a-0")
		err := a.ReleaseUnselected(context.Background(), s, []ipam.AffinityKey{rows[0].Key}, 0)
		if err != nil || countBlocks(s) != 1 {
			t.Errorf("%v\n%s", err, s)
		}
	})
}

func TestEmptyBlocksOfOtherPoolsAreReleasedAtBlockLimit(t *testing.T) {
	s := newStore()
	s.Settings.MaxBlocksPerHost = 1
	fill(t, s, "a", 1)
	mustRelease(t, s, "net.a-0")
	s.IPPools = append(s.IPPools, pool.Pool{Name: "other", CIDR: netip.MustParsePrefix("10.9.0.0/28"), BlockSize: 30})
	asked := only4("a", "net.asked")
	asked.Wants[0].Pools = []string{"other"}
	if addr := mustAssign(t, s, asked); !strings.HasPrefix(addr, "10.9.0.") || countBlocks(s) != 1 {
		t.Errorf("%s\n%s", addr, s)
	}
	// A block in use is kept, and the error names the limit.
	back := only4("a", "net.back")
	back.Wants[0].Pools = []string{"v4"}
	s.Settings.StrictAffinity = true
	_, err := assign(s, back)
	if !errors.Is(err, ipam.ErrNoAddress) || !strings.Contains(err.Error(), "maxBlocksPerHost") ||
		!strings.Contains(s.String(), "net.asked") {
		t.Errorf("%v\n%s", err, s)
	}
}

func TestSearchForOneFamilyKeepsBlockOfOther(t *testing.T) {
	s := newStore()
	// The IPv4 pool does not select the node, but the request names it.
	s.IPPools[0].Node = never(t)
	r := dual("a", "net.asked")
	r.Wants[0].Pools = []string{"v4"}
	c := &crashing{Store: s, left: 1 << 30}
	if _, err := assignWith(&ipam.Allocator{Store: c, Now: s.Now, Parallel: 1}, r); err != nil {
		t.Fatal(err)
	}
	if trace := strings.Join(c.trace, "\n"); strings.Contains(trace, "delete") {
		t.Errorf("a block was created and deleted again:\n%s", trace)
	}
}
