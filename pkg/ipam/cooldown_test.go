// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/memstore"
	"calico-cni/pkg/ipam/pool"
)

const testCooldown = 30 * time.Second

// coolingStore returns a store with a cooldown and a pool of one block, in which only the given handles of node a have
// addresses, and one address is in its cooldown.
func coolingStore(t *testing.T, handles ...string) *memstore.Store {
	t.Helper()
	s := newStore()
	s.IPPools = []pool.Pool{ofPool("v4", "10.0.0.0/30", 30)}
	s.Settings.Cooldown, s.Settings.StrictAffinity = testCooldown, true
	for _, h := range append(handles, "net.released") {
		mustAssign(t, s, only4("a", h))
	}
	releaseAfterCooldown(t, allocatorAt(s, 0), "net.released")
	return s
}

// allocatorAt returns an allocator whose clock is ahead of that of the store.
func allocatorAt(s *memstore.Store, ahead time.Duration) *ipam.Allocator {
	start := s.Now()
	return &ipam.Allocator{Store: s, Parallel: 1, Now: func() time.Time { return start.Add(ahead) }}
}

func releaseAfterCooldown(t *testing.T, a *ipam.Allocator, handle string) ipam.Released {
	t.Helper()
	h, err := a.Lookup(t.Context(), handle)
	if err != nil {
		t.Fatal(err)
	}
	released, err := a.Release(t.Context(), h, nil, testCooldown)
	if err != nil {
		t.Fatal(err)
	}
	return released
}

func wantCooling(t *testing.T, s *memstore.Store, want int) {
	t.Helper()
	for _, b := range s.AllBlocks() {
		if got := b.Usage().Cooling; got != want {
			t.Errorf("%d addresses are cooling, want %d\n%s", got, want, s)
		}
	}
}

func TestWithdrawKeepsCooldownOfOtherAddresses(t *testing.T) {
	s := coolingStore(t, "net.kept")
	a, r := allocatorAt(s, 0), only4("a", "net.x")
	got, err := assignWith(a, r)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Withdraw(t.Context(), r, got, testCooldown); err != nil {
		t.Fatal(err)
	}
	wantCooling(t, s, 1)
	if strings.Contains(s.String(), "net.x") {
		t.Errorf("the request still holds an address:\n%s", s)
	}
}

// TestFailedAssignmentKeepsCooldownOfOtherAddresses makes the second write to the block unknown, so that the assignment
// is reverted.
func TestFailedAssignmentKeepsCooldownOfOtherAddresses(t *testing.T) {
	s := coolingStore(t, "net.kept")
	a := allocatorAt(s, 0)
	a.Store = failing(s, "update block", true)
	if got, err := assignWith(a, only4("a", "net.x")); err == nil {
		t.Fatalf("got %v, want an error", got)
	}
	wantCooling(t, s, 1)
}

// TestBlockIsIdleAfterCooldown releases the last address of a block. No command writes the block after the cooldown.
func TestBlockIsIdleAfterCooldown(t *testing.T) {
	for name, use := range map[string]func(t *testing.T, s *memstore.Store, a *ipam.Allocator) bool{
		"taken over": func(_ *testing.T, _ *memstore.Store, a *ipam.Allocator) bool {
			_, err := assignWith(a, only4("b", "net.b"))
			return err == nil
		},
		"replaced by a block of another size": func(_ *testing.T, s *memstore.Store, a *ipam.Allocator) bool {
			s.IPPools[0].BlockSize = 31
			_, err := assignWith(a, only4("b", "net.b"))
			return err == nil
		},
		"released if it is empty": func(t *testing.T, s *memstore.Store, a *ipam.Allocator) bool {
			released, err := a.ReleaseIfEmpty(t.Context(), "a", s.IPPools[0].CIDR, testCooldown)
			if err != nil {
				t.Error(err)
			}
			return released
		},
		"released because its pool selects the node no more": func(
			t *testing.T, s *memstore.Store, a *ipam.Allocator,
		) bool {
			s.IPPools[0].Node = never(t)
			keys := []ipam.AffinityKey{{Node: "a", CIDR: s.IPPools[0].CIDR}}
			if err := a.ReleaseUnselected(t.Context(), s, keys, testCooldown); err != nil {
				t.Error(err)
			}
			return len(s.AllBlocks()) == 0
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := coolingStore(t)
			// The block was claimed more than idleAfter ago when the address was released.
			row, err := s.Blocks().Get(t.Context(), s.IPPools[0].CIDR)
			if err != nil {
				t.Fatal(err)
			}
			row.Value.ClaimTime = row.Value.ClaimTime.Add(-time.Hour)
			if _, err := s.Blocks().Update(t.Context(), s.IPPools[0].CIDR, row); err != nil {
				t.Fatal(err)
			}
			before := s.String()
			if use(t, s, allocatorAt(s, testCooldown-10*time.Second)) {
				t.Errorf("during the cooldown:\n%s", s)
			}
			if s.String() != before {
				t.Errorf("the cooldown changed from\n%s\nto\n%s", before, s)
			}
			s.IPPools[0].BlockSize, s.IPPools[0].Node = 30, nil
			if !use(t, s, allocatorAt(s, 24*time.Hour)) {
				t.Errorf("after the cooldown:\n%s", s)
			}
			if bad := s.Check(); len(bad) > 0 {
				t.Errorf("%s\n%s", strings.Join(bad, "\n"), s)
			}
		})
	}
}

// TestReleaseReportsBlockWhoseCooldownsAreOver releases an address without a cooldown from a block that has another
// address whose cooldown is over.
func TestReleaseReportsBlockWhoseCooldownsAreOver(t *testing.T) {
	s := coolingStore(t, "net.last")
	a := allocatorAt(s, time.Hour)
	r := only4("a", "net.last")
	h, err := a.Lookup(t.Context(), r.Handle)
	if err != nil {
		t.Fatal(err)
	}
	released, err := a.Release(t.Context(), h, nil, 0)
	if err != nil || len(released.Emptied) != 1 {
		t.Errorf("got %+v, %v, want one empty block\n%s", released, err, s)
	}
}

// TestMessageCountsRunningCooldownsOnly asks for an address while all are cooling, and while other nodes' cooldowns are
// over.
func TestMessageCountsRunningCooldownsOnly(t *testing.T) {
	s := coolingStore(t, "net.1", "net.2", "net.3")
	_, err := assignWith(allocatorAt(s, 0), only4("a", "net.x"))
	if want := "1 released addresses of these blocks are in their cooldown"; !containsText(err, want) {
		t.Errorf("error is %v, want %q", err, want)
	}
	_, err = assignWith(allocatorAt(s, time.Hour), only4("b", "net.x"))
	if containsText(err, "cooldown") || !containsText(err, "1 addresses are free in blocks of other nodes") {
		t.Errorf("after the cooldown the error is %v", err)
	}
}

// TestRequestedAddressWaitsForItsCooldown requests a released address during its cooldown and afterwards.
func TestRequestedAddressWaitsForItsCooldown(t *testing.T) {
	s := coolingStore(t, "net.kept")
	cidr := s.IPPools[0].CIDR
	r := only4("a", "net.x")
	var released time.Time
	for addr := cidr.Addr(); cidr.Contains(addr); addr = addr.Next() {
		if holder, _ := s.AllBlocks()[cidr].Holder(addr); !holder.ReleasedAt.IsZero() {
			r.Wants[0].Addr, released = addr, holder.ReleasedAt
		}
	}
	after := func(d time.Duration) *ipam.Allocator {
		return &ipam.Allocator{Store: s, Parallel: 1, Now: func() time.Time { return released.Add(d) }}
	}
	_, err := assignWith(after(10*time.Second-time.Millisecond), r)
	if !errors.Is(err, ipam.ErrAddrCooling) || errors.Is(err, ipam.ErrAddrTaken) ||
		!containsText(err, "; wait 21 seconds, or choose another address") {
		t.Errorf("during the cooldown: %v\n%s", err, s)
	}
	if _, err := assignWith(after(testCooldown), r); err != nil {
		t.Errorf("after the cooldown: %v\n%s", err, s)
	}
}

func containsText(err error, text string) bool {
	return err != nil && strings.Contains(err.Error(), text)
}

// TestTimesOfClockThatWasAhead takes over a block, and allocates a released address, after the clock of the other node
// was a year ahead.
func TestTimesOfClockThatWasAhead(t *testing.T) {
	s := newStore()
	s.IPPools = []pool.Pool{ofPool("v4", "10.0.0.0/32", 32)}
	s.Settings.Cooldown, s.Settings.StrictAffinity = testCooldown, true
	ahead := allocatorAt(s, 365*24*time.Hour)
	if _, err := assignWith(ahead, only4("a", "net.x")); err != nil {
		t.Fatal(err)
	}
	releaseAfterCooldown(t, ahead, "net.x")
	if _, err := assignWith(allocatorAt(s, time.Hour), only4("b", "net.y")); err != nil {
		t.Errorf("another node: %v\n%s", err, s)
	}
	releaseAfterCooldown(t, ahead, "net.y")
	if _, err := assignWith(allocatorAt(s, 2*time.Hour), only4("b", "net.z")); err != nil {
		t.Errorf("the same node: %v\n%s", err, s)
	}
}
