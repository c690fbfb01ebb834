// SPDX-License-Identifier: Apache-2.0

package memstore_test

import (
	"context"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/ipam/memstore"
	"calico-cni/pkg/ipam/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, func(testing.TB) storetest.Fixture {
		s, unserved := memstore.New(time.Now), memstore.New(time.Now)
		var refuse, lose atomic.Bool
		s.Fault = func(r memstore.Request) memstore.Outcome {
			switch {
			case r.Verb == "get", r.Verb == "list":
			case refuse.Load():
				return memstore.Refused
			case lose.Swap(false):
				return memstore.AnswerLost
			}
			return memstore.Pass
		}
		unserved.Fault = func(memstore.Request) memstore.Outcome { return memstore.Refused }
		return storetest.Fixture{
			Store: s, Faulty: s, Paged: s, Unserved: unserved,
			Refuse:     func() func() { refuse.Store(true); return func() { refuse.Store(false) } },
			LoseAnswer: func() { lose.Store(true) },
			Hold:       func(_ testing.TB, cidr netip.Prefix) { s.Hold(cidr) },
		}
	})
}

// TestRestoreReusesRevisions checks behaviour that cannot be tested on a real server: after a restore, revisions are
// used again for other contents, and a write that names an old revision succeeds. UIDs are not used again.
func TestRestoreReusesRevisions(t *testing.T) {
	ctx, s, cidr := context.Background(), memstore.New(time.Now), netip.MustParsePrefix("10.0.0.0/30")
	write := func(row ipam.Row[block.Block], affinity string) ipam.Row[block.Block] {
		t.Helper()
		row.Value.Affinity = affinity
		row, err := s.Blocks().Update(ctx, cidr, row)
		if err != nil {
			t.Fatal(err)
		}
		return row
	}
	created, err := s.Blocks().Create(ctx, cidr, block.New(cidr, "host:a", time.Unix(0, 0)))
	if err != nil {
		t.Fatal(err)
	}
	backup := s.Snapshot()
	before := write(created, "host:b")
	s.Restore(backup)
	write(created, "host:c")
	write(before, "host:d")

	other := netip.MustParsePrefix("10.0.0.4/30")
	first, err := s.Blocks().Create(ctx, other, block.New(other, "", time.Unix(0, 0)))
	if err != nil {
		t.Fatal(err)
	}
	s.Restore(backup)
	second, err := s.Blocks().Create(ctx, other, block.New(other, "", time.Unix(0, 0)))
	if err != nil || second.UID == first.UID {
		t.Errorf("UIDs %q and %q, %v", first.UID, second.UID, err)
	}
}

// TestCachedListIsStale checks that Lag selects a past state for cached lists only.
func TestCachedListIsStale(t *testing.T) {
	ctx, s := context.Background(), memstore.New(time.Now)
	for i := range 3 {
		key := ipam.AffinityKey{Node: "a", CIDR: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 32)}
		if _, err := s.Affinities().Create(ctx, key, ipam.Affinity{State: ipam.Pending}); err != nil {
			t.Fatal(err)
		}
	}
	for behind, want := range []int{3, 2, 1, 0} {
		s.Lag = func(int) int { return behind }
		cached, err := s.AffinitiesOf(ctx, "a", true)
		newest, newestErr := s.AffinitiesOf(ctx, "a", false)
		if err != nil || newestErr != nil || len(cached) != want || len(newest) != 3 {
			t.Errorf("%d behind: %d rows, want %d; newest %d; %v, %v", behind, len(cached), want, len(newest), err, newestErr)
		}
	}
}

// TestRepeatedWriteReturnsSecondAnswer checks the outcome Repeated.
func TestRepeatedWriteReturnsSecondAnswer(t *testing.T) {
	ctx, s := context.Background(), memstore.New(time.Now)
	s.Fault = func(memstore.Request) memstore.Outcome { return memstore.Repeated }
	_, err := s.Handles().Create(ctx, "net.x", ipam.Handle{ID: "net.x"})
	s.Fault = nil
	row, getErr := s.Handles().Get(ctx, "net.x")
	if err == nil || getErr != nil || row.Value.ID != "net.x" {
		t.Errorf("create: %v; get: %v, %v", err, row, getErr)
	}
}
