// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/ipam/memstore"
)

// repeating is a store that makes the n-th write twice and returns the second answer, like a client that repeats a
// request after 503 with Retry-After.
type repeating struct {
	*memstore.Store
	left  int
	trace []string
}

// write makes a write, and counts it.
func (r *repeating) write(what string, f func() error) error {
	r.trace = append(r.trace, what)
	if r.left--; r.left == 0 {
		r.trace[len(r.trace)-1] += " (twice)"
		if err := f(); err != nil {
			return err
		}
	}
	return f()
}

func (r *repeating) Blocks() ipam.Table[netip.Prefix, block.Block] {
	return repeatingTable[netip.Prefix, block.Block]{r.Store.Blocks(), r, "block"}
}

func (r *repeating) Affinities() ipam.Table[ipam.AffinityKey, ipam.Affinity] {
	return repeatingTable[ipam.AffinityKey, ipam.Affinity]{r.Store.Affinities(), r, "affinity"}
}

func (r *repeating) Handles() ipam.Table[string, ipam.Handle] {
	return repeatingTable[string, ipam.Handle]{r.Store.Handles(), r, "handle"}
}

type repeatingTable[K comparable, T any] struct {
	ipam.Table[K, T]
	r    *repeating
	kind string
}

func (t repeatingTable[K, T]) Create(ctx context.Context, k K, v T) (row ipam.Row[T], err error) {
	err = t.r.write("create "+t.kind, func() (err error) { row, err = t.Table.Create(ctx, k, v); return err })
	return row, err
}

func (t repeatingTable[K, T]) Update(ctx context.Context, k K, in ipam.Row[T]) (row ipam.Row[T], err error) {
	err = t.r.write("update "+t.kind, func() (err error) { row, err = t.Table.Update(ctx, k, in); return err })
	return row, err
}

func (t repeatingTable[K, T]) Delete(ctx context.Context, k K, row ipam.Row[T]) error {
	return t.r.write("delete "+t.kind, func() error { return t.Table.Delete(ctx, k, row) })
}

// TestRepeatedWriteHasOneEffect makes each write of each scenario twice. An assignment allocates one address per IP
// family, and the release leaves nothing.
func TestRepeatedWriteHasOneEffect(t *testing.T) {
	for name, sc := range scenarios() {
		t.Run(name, func(t *testing.T) {
			for n := 1; n < 100; n++ {
				s := newStore()
				sc.prepare(t, s)
				before := s.AllBlocks()
				r := &repeating{Store: s, left: n}
				err := sc.run(&ipam.Allocator{Store: r, Now: later(), Parallel: 1})
				at := fmt.Sprintf("write %d made twice, error: %v, writes:\n%s\nstore:\n%s", n, err, strings.Join(r.trace, "\n"), s)
				if err != nil && name != "assignment that fails in one family" {
					t.Fatal(at)
				}
				if bad := s.Check(); len(bad) > 0 {
					t.Fatalf("%v\n%s", bad, at)
				}
				for _, v6 := range []bool{false, true} {
					if was, is := countHeld(before, "victim", v6), countHeld(s.AllBlocks(), "victim", v6); is > was+1 {
						t.Fatalf("victim had %d addresses (IPv6: %v), and now has %d\n%s", was, v6, is, at)
					}
				}
				wantRecovery(t, s, at)
				if r.left > 0 {
					return
				}
			}
			t.Fatal("the operation never ends")
		})
	}
}

// countHeld counts the addresses of a handle in one IP family.
func countHeld(blocks map[netip.Prefix]block.Block, handle string, v6 bool) (n int) {
	for cidr, b := range blocks {
		if cidr.Addr().Is6() == v6 {
			n += len(b.Held(handle))
		}
	}
	return n
}

// TestWithdrawAfterRepeatedWriteKeepsOtherAddress withdraws a first assignment after a second one for the same
// handle, as an ADD does whose address is routed elsewhere. The address of the second assignment stays counted.
func TestWithdrawAfterRepeatedWriteKeepsOtherAddress(t *testing.T) {
	for n := 1; n < 10; n++ {
		s := newStore()
		mustAssign(t, s, only4("a", "net.other"))
		a := &ipam.Allocator{Store: &repeating{Store: s, left: n}, Now: s.Now, Parallel: 1}
		first := only4("a", "net.x")
		got, err := assignWith(a, first)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := assignWith(a, only4("a", "net.x")); err != nil {
			t.Fatal(err)
		}
		if err := a.Withdraw(context.Background(), first, got, 0); err != nil {
			t.Fatal(err)
		}
		if n := countHeld(s.AllBlocks(), "net.x", false); n != 1 {
			t.Errorf("holds %d addresses after the withdrawal, want 1\n%s", n, s)
		}
		if bad := s.Check(); len(bad) > 0 {
			t.Errorf("%v\n%s", bad, s)
		}
		mustRelease(t, s, "net.x")
		if n := countHeld(s.AllBlocks(), "net.x", false); n != 0 || strings.Contains(s.String(), "net.x") {
			t.Errorf("the release left something\n%s", s)
		}
	}
}

// TestMoveCountWithRepeatedWrite moves the count of a request to another block by an update that is made twice. The
// handle has another address in the old block.
func TestMoveCountWithRepeatedWrite(t *testing.T) {
	for n := 1; n < 12; n++ {
		s := newStore()
		mustAssign(t, s, only4("a", "net.x"))
		r := &repeating{Store: s, left: n}
		add := actBetween(s, "update handle", "update block", func() { fill(t, s, "a", 3) })
		a := &ipam.Allocator{Store: stacked{add, r}, Now: s.Now, Parallel: 1}
		if _, err := assignWith(a, only4("a", "net.x")); err != nil {
			t.Fatal(err)
		}
		if bad := s.Check(); len(bad) > 0 {
			t.Errorf("write %d made twice, writes %q: %v\n%s", n, r.trace, bad, s)
		}
		if n := countHeld(s.AllBlocks(), "net.x", false); n != 2 {
			t.Errorf("holds %d addresses, want 2\n%s", n, s)
		}
		mustRelease(t, s, "net.x")
		if strings.Contains(s.String(), "net.x") {
			t.Errorf("write %d made twice: the release left something\n%s", n, s)
		}
	}
}

// stacked makes writes twice, and lets another process act between calls.
type stacked struct {
	*crashing
	r *repeating
}

func (s stacked) Handles() ipam.Table[string, ipam.Handle] {
	return repeatingTable[string, ipam.Handle]{s.crashing.Handles(), s.r, "handle"}
}

func (s stacked) Blocks() ipam.Table[netip.Prefix, block.Block] {
	return repeatingTable[netip.Prefix, block.Block]{s.crashing.Blocks(), s.r, "block"}
}

// TestRepeatedRequestIsAdopted makes each write of an ADD twice. If that leads to a second read of a block, another run
// of the ADD adopts the address first. The first run allocates another address, in the same block or in another one, or
// one of its later calls fails. The handle counts what is left of both runs.
func TestRepeatedRequestIsAdopted(t *testing.T) {
	adopted := 0
	for write := range 4 {
		for fails := range 10 {
			for _, full := range []bool{false, true} {
				name := fmt.Sprintf("write %d made twice, later call %d fails, block full: %v", write, fails, full)
				t.Run(name, func(t *testing.T) { adopted += repeatAndAdopt(t, write, fails, full) })
			}
		}
	}
	if adopted < 10 {
		t.Errorf("the second run adopted an address %d times, want at least 10", adopted)
	}
}

// repeatAndAdopt runs one case of TestRepeatedRequestIsAdopted, and returns the number of adopted addresses.
func repeatAndAdopt(t *testing.T, write, fails int, full bool) (adopted int) {
	s := newStore()
	mustAssign(t, s, only4("a", "net.other"))
	var add *crashing
	add = actBetween(s, "update block", "get block", func() {
		if full {
			fill(t, s, "a", 2)
		}
		a := &ipam.Allocator{Store: s, Now: s.Now, Parallel: 1}
		got, err := assignWith(a, repeatedAdd(only4("a", "net.x")))
		if err != nil {
			t.Fatal(err)
		}
		if got[0].Existing {
			adopted++
		}
		if fails > 0 {
			// The call that is about to be made is the first one.
			add.left = fails
		}
	})
	add.survives = true
	a := &ipam.Allocator{Store: stacked{add, &repeating{Store: s, left: write}}, Now: s.Now, Parallel: 1}
	if _, err := assignWith(a, repeatedAdd(only4("a", "net.x"))); err != nil && !errors.Is(err, errCrashed) {
		t.Fatal(err)
	}
	if bad := s.Check(); len(bad) > 0 {
		t.Errorf("%s\n%s", strings.Join(bad, "\n"), s)
	}
	if countHeld(s.AllBlocks(), "net.x", false) == 0 {
		t.Errorf("the address of the second run was released\n%s", s)
	}
	mustRelease(t, s, "net.x")
	if strings.Contains(s.String(), "net.x") {
		t.Errorf("the release left something\n%s", s)
	}
	return adopted
}
