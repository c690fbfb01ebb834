// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"calico-cni/pkg/ipam"
)

// TestRoomPredictsAssignAndWritesNothing makes random assignments and releases. Before each assignment, Room must
// predict whether it succeeds.
func TestRoomPredictsAssignAndWritesNothing(t *testing.T) {
	answers := map[bool]int{}
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 0))
		s := newStore()
		s.Settings.StrictAffinity = rng.IntN(2) == 0
		s.Settings.MaxBlocksPerHost = 1 + rng.IntN(3)
		s.Reserved = []netip.Prefix{netip.MustParsePrefix(fmt.Sprintf("10.0.0.%d/31", 2*rng.IntN(8)))}
		a := &ipam.Allocator{Store: s, Now: s.Now}
		var held []string
		for step := range 24 {
			if len(held) > 0 && rng.IntN(4) == 0 {
				i := rng.IntN(len(held))
				mustRelease(t, s, held[i])
				held = append(held[:i], held[i+1:]...)
				continue
			}
			handle := fmt.Sprint("h", step)
			r := only4(fmt.Sprint("node", rng.IntN(3)), handle)
			if rng.IntN(3) == 0 {
				r = dual(r.Node, handle)
			}
			before := s.String()
			view, err := (&ipam.Allocator{Store: s}).Gather(context.Background(), s, r.Node, nil, false)
			if err != nil {
				t.Fatal(err)
			}
			room := a.Room(context.Background(), view, r)
			if diff := cmp.Diff(before, s.String()); diff != "" {
				t.Fatalf("seed %d, step %d: Room wrote to the store (-before +after):\n%s", seed, step, diff)
			}
			_, err = assign(s, r)
			if (room == nil) != (err == nil) || room != nil && !errors.Is(room, ipam.ErrNoAddress) {
				t.Fatalf("seed %d, step %d: Room says %v, Assign %v\n%s", seed, step, room, err, before)
			}
			if err == nil {
				held = append(held, handle)
			}
			answers[room == nil]++
		}
	}
	if answers[true] < 100 || answers[false] < 100 {
		t.Errorf("answers %v: want many of both kinds", answers)
	}
}

func TestAssignedReportsLastAndBorrowedAddresses(t *testing.T) {
	s := newStore()
	s.Settings.MaxBlocksPerHost = 1
	fill(t, s, "lender", 1)
	a := &ipam.Allocator{Store: s, Now: s.Now}
	var got []string
	for i := range 5 {
		assigned, err := assignWith(a, only4("node", fmt.Sprint("h", i)))
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("last %t borrowed %t", assigned[0].Last, assigned[0].Borrowed))
	}
	want := []string{
		"last false borrowed false", "last false borrowed false", "last false borrowed false", "last true borrowed false",
		"last false borrowed true",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("assignments (-want +got):\n%s", diff)
	}
}

func TestHeldByNodeAndReleaseWithoutHandle(t *testing.T) {
	ctx := context.Background()
	s := newStore()
	s.Settings.MaxBlocksPerHost = 1
	a := &ipam.Allocator{Store: s, Now: s.Now}
	fill(t, s, "other", 1)
	for i := range 5 {
		mustAssign(t, s, only4("node", fmt.Sprint("h", i)))
	}
	describe := func(more ...netip.Prefix) (out []string) {
		held, err := a.HeldByNode(ctx, "node", more)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range held {
			out = append(out, fmt.Sprintf("%s of %s on %s", h.Handle, h.Block, h.Owner["node"]))
		}
		return out
	}
	own := describe()
	if len(own) != 4 {
		t.Fatalf("addresses %q, want the four of the node's block", own)
	}
	others, err := a.HeldByHandle(ctx, "h4")
	if err != nil || len(others) != 1 {
		t.Fatalf("handle h4 holds %v, %v, want one borrowed address", others, err)
	}
	if all := describe(others[0].Block); len(all) != 6 {
		t.Errorf("addresses %q, want those of the lender's block too", all)
	}

	// Delete the handle of an allocated address. Older writers could leave such addresses.
	row, err := s.Handles().Get(ctx, "h1")
	if err != nil {
		t.Fatal(err)
	}
	held, err := a.HeldByHandle(ctx, "h1")
	if err != nil {
		t.Fatal(err)
	}
	row.Deleted = true
	if row, err = s.Handles().Update(ctx, "h1", row); err == nil {
		err = s.Handles().Delete(ctx, "h1", row)
	}
	if err != nil {
		t.Fatal(err)
	}
	for want := 1; want >= 0; want-- {
		released, err := a.ReleaseHeld(ctx, "h1", held, nil, 0)
		if err != nil || len(released) != want {
			t.Errorf("released %v, %v, want %d", released, err, want)
		}
	}
	if left := describe(); len(left) != 3 {
		t.Errorf("left %q, want three", left)
	}
}

// TestReallocatedAddressIsNotReleased releases and allocates an address after it was read. ReleaseHeld must keep it.
func TestReallocatedAddressIsNotReleased(t *testing.T) {
	ctx := context.Background()
	s := newStore()
	s.IPPools[0].CIDR = netip.MustParsePrefix("10.0.0.0/30")
	a := &ipam.Allocator{Store: s, Now: s.Now}
	mustAssign(t, s, only4("node", "h"))
	held, err := a.HeldByHandle(ctx, "h")
	if err != nil {
		t.Fatal(err)
	}
	mustRelease(t, s, "h")
	for i := range 4 {
		mustAssign(t, s, only4("node", fmt.Sprint("next", i)))
	}
	before := s.String()
	released, err := a.ReleaseHeld(ctx, "h", held, nil, 0)
	if err != nil || len(released) > 0 {
		t.Errorf("released %v, %v, want nothing", released, err)
	}
	if diff := cmp.Diff(before, s.String()); diff != "" {
		t.Errorf("store (-before +after):\n%s", diff)
	}
}

func TestRepeatedRequestReturnsSameAddresses(t *testing.T) {
	s := newStore()
	a := &ipam.Allocator{Store: s, Now: s.Now}
	again := func(want ipam.Request, same bool) (string, []ipam.Assigned) {
		want.SameAttachment = func(map[string]string) bool { return same }
		got, err := assignWith(a, want)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(got[0].Addr, got[len(got)-1].Addr), got
	}
	first, _ := again(dual("node", "h"), true)
	before := blockLines(s)
	r := dual("node", "h")
	second, got := again(r, true)
	if first != second {
		t.Errorf("addresses %s, then %s", first, second)
	}
	if err := a.Withdraw(context.Background(), r, got, 0); err != nil {
		t.Error(err)
	}
	// The handle counts both runs until it is released.
	if diff := cmp.Diff(before, blockLines(s)); diff != "" {
		t.Errorf("blocks after the second and its withdrawal (-before +after):\n%s", diff)
	}
	if third, _ := again(dual("node", "h"), false); third == first {
		t.Errorf("another owner of the handle got the same addresses, %s", third)
	}
	if faults := s.Check(); len(faults) > 0 {
		t.Error(faults)
	}
	mustRelease(t, s, "h")
	if faults := s.Check(); len(faults) > 0 {
		t.Error(faults)
	}
}
