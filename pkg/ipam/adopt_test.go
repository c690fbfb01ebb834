// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"strings"
	"testing"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/ipam/memstore"
)

// repeatedAdd returns a request of an ADD that adopts the addresses of an earlier run.
func repeatedAdd(r ipam.Request) ipam.Request {
	r.SameAttachment = func(owner map[string]string) bool { return owner["pod"] == r.Handle }
	return r
}

// earlierAdd runs an ADD of both families, and returns its request and result.
func earlierAdd(t *testing.T, s *memstore.Store) (ipam.Request, []ipam.Assigned) {
	t.Helper()
	r := repeatedAdd(dual("a", "net.x"))
	got, err := assignWith(&ipam.Allocator{Store: s, Now: s.Now, Parallel: 1}, r)
	if err != nil {
		t.Fatal(err)
	}
	return r, got
}

// wantHeld checks that the addresses are still allocated to the handle.
func wantHeld(t *testing.T, s *memstore.Store, got []ipam.Assigned) {
	t.Helper()
	for _, g := range got {
		if owner, ok := s.AllBlocks()[g.Block].Holder(g.Addr); !ok || owner.Handle != "net.x" {
			t.Errorf("%s is not allocated to net.x\n%s", g.Addr, s)
		}
	}
	if bad := s.Check(); len(bad) > 0 {
		t.Errorf("%s\n%s", strings.Join(bad, "\n"), s)
	}
}

// TestUndoKeepsAdoptedAddress reverts an ADD after a second run of it got the same addresses.
func TestUndoKeepsAdoptedAddress(t *testing.T) {
	s := newStore()
	first, got := earlierAdd(t, s)
	a := &ipam.Allocator{Store: s, Now: s.Now, Parallel: 1}
	again, err := assignWith(a, repeatedAdd(dual("a", "net.x")))
	if err != nil || len(again) != 2 || again[0].Addr != got[0].Addr || !again[0].Existing {
		t.Fatalf("got %v, %v, want those of the first run: %v", again, err, got)
	}
	if err := a.Withdraw(t.Context(), first, got, 0); err != nil {
		t.Fatal(err)
	}
	wantHeld(t, s, again)
	mustRelease(t, s, "net.x")
	if strings.Contains(s.String(), "net.x") {
		t.Errorf("the release left something\n%s", s)
	}
}

// TestGarbageCollectionKeepsAdoptedAddress releases, after a second run of an ADD, what was read before it.
func TestGarbageCollectionKeepsAdoptedAddress(t *testing.T) {
	s := newStore()
	_, got := earlierAdd(t, s)
	a := &ipam.Allocator{Store: s, Now: s.Now, Parallel: 1}
	before := s.AllBlocks()[got[0].Block].Held("net.x")[0]
	if _, err := assignWith(a, repeatedAdd(dual("a", "net.x"))); err != nil {
		t.Fatal(err)
	}
	if done, err := a.ReleaseHolding(t.Context(), "net.x", got[0].Block, before, 0); done || err != nil {
		t.Errorf("released: %v, %v", done, err)
	}
	wantHeld(t, s, got)
}

// TestFailedAdoptionKeepsAddresses fails each call of a second run of an ADD. The pod of the first run keeps its
// addresses.
func TestFailedAdoptionKeepsAddresses(t *testing.T) {
	failed := 0
	for n := 1; n < 20; n++ {
		for _, after := range []bool{false, true} {
			s := newStore()
			_, got := earlierAdd(t, s)
			c := &crashing{Store: s, left: n, after: after, survives: true}
			_, err := assignWith(&ipam.Allocator{Store: c, Now: s.Now, Parallel: 1}, repeatedAdd(dual("a", "net.x")))
			if err != nil {
				failed++
			}
			wantHeld(t, s, got)
			mustRelease(t, s, "net.x")
			if strings.Contains(s.String(), "net.x") {
				t.Errorf("call %d failed: the release left something\n%s", n, s)
			}
		}
	}
	if failed < 6 {
		t.Errorf("only %d calls made the ADD fail: the test covers too little", failed)
	}
}

// TestAdoptionAfterRelease releases an address of the earlier run while the second run is about to adopt it. If it was
// the first address, the second run allocates another; otherwise it fails, because its container is being deleted.
func TestAdoptionAfterRelease(t *testing.T) {
	for family, v6 := range map[string]bool{"first": false, "second": true} {
		t.Run(family, func(t *testing.T) {
			s := newStore()
			_, got := earlierAdd(t, s)
			c := &crashing{Store: s, left: 1 << 30}
			c.onCall = func(what string) {
				if what != "update block" {
					return
				}
				c.onCall = nil
				for cidr, b := range s.AllBlocks() {
					if cidr.Addr().Is6() == v6 {
						releaseIn(t, s, b, got)
					}
				}
			}
			_, err := assignWith(&ipam.Allocator{Store: c, Now: s.Now, Parallel: 1}, repeatedAdd(dual("a", "net.x")))
			if (err != nil) != v6 {
				t.Errorf("error is %v", err)
			}
			if bad := s.Check(); len(bad) > 0 {
				t.Errorf("%s\n%s", strings.Join(bad, "\n"), s)
			}
			mustRelease(t, s, "net.x")
			if strings.Contains(s.String(), "net.x") {
				t.Errorf("the release left something\n%s", s)
			}
		})
	}
}

// blockLines returns the blocks of a store, one per line.
func blockLines(s *memstore.Store) (lines []string) {
	for line := range strings.Lines(s.String()) {
		if strings.HasPrefix(line, "block ") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

func releaseIn(t *testing.T, s *memstore.Store, b block.Block, got []ipam.Assigned) {
	t.Helper()
	a := &ipam.Allocator{Store: s, Now: s.Now, Parallel: 1}
	for _, h := range b.Held("net.x") {
		if done, err := a.ReleaseHolding(t.Context(), "net.x", b.CIDR, h, 0); !done || err != nil {
			t.Errorf("release %s of %v: %v, %v", h.Addr, got, done, err)
		}
	}
}
