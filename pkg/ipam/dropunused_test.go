// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"errors"
	"strings"
	"testing"

	"calico-cni/pkg/ipam"
)

// TestFailedAssignmentIsRevertedWithHandleOfLostAnswer loses the answer to the creation of the handle.
func TestFailedAssignmentIsRevertedWithHandleOfLostAnswer(t *testing.T) {
	s := newStore()
	mustAssign(t, s, only4("a", "other"))
	a := &ipam.Allocator{Store: failing(s, "create handle", true), Now: s.Now, Parallel: 1}
	if got, err := assignWith(a, only4("a", "victim")); !errors.Is(err, errCrashed) {
		t.Fatalf("got %v, %v", got, err)
	}
	if strings.Contains(s.String(), "victim") {
		t.Errorf("the handle is left:\n%s", s)
	}
}

// TestFailedAssignmentIsRevertedBesideSecondRun reverts an ADD while a second run of it is between the writes of its
// handle and its block. An address must not be allocated without a handle.
func TestFailedAssignmentIsRevertedBesideSecondRun(t *testing.T) {
	s := newStore()
	mustAssign(t, s, only4("a", "other"))
	second := &crashing{Store: s, left: 1 << 30}
	second.onCall = func(what string) {
		if what != "update block" {
			return
		}
		second.onCall = nil
		a := &ipam.Allocator{Store: failing(s, "update handle", true), Now: s.Now, Parallel: 1}
		if got, err := assignWith(a, only4("a", "victim")); !errors.Is(err, errCrashed) {
			t.Errorf("first run: got %v, %v", got, err)
		}
	}
	got, err := assignWith(&ipam.Allocator{Store: second, Now: s.Now, Parallel: 1}, only4("a", "victim"))
	if second.onCall != nil || err != nil && !errors.Is(err, ipam.ErrReleased) {
		t.Errorf("second run: got %v, %v", got, err)
	}
	if bad := s.Check(); len(bad) > 0 {
		t.Errorf("%s\n%s", strings.Join(bad, "\n"), s)
	}
	mustRelease(t, s, "victim")
	if strings.Contains(s.String(), "victim") {
		t.Errorf("the release left something:\n%s", s)
	}
}

// TestRecreatedBlockOfCacheIsCheckedForOverlap caches a block that passed the check for overlapping blocks. Calico then
// creates the block again, beside a block that overlaps it.
func TestRecreatedBlockOfCacheIsCheckedForOverlap(t *testing.T) {
	s := newStore()
	got := mustAssign(t, s, only4("a", "net.first"))
	n := cacheOf(t, s)
	cidr := n.withRoom[0]
	row, err := s.Blocks().Get(t.Context(), cidr)
	if err == nil {
		err = s.Blocks().Delete(t.Context(), cidr, row)
	}
	if err == nil {
		_, err = s.Blocks().Create(t.Context(), cidr, row.Value)
	}
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, "b", cidr.Addr().Next().Next().String()+"/31", 1)
	a := &ipam.Allocator{Store: s, Now: s.Now, Parallel: 1, Cache: n}
	next, err := assignWith(a, only4("a", "net.x"))
	if err != nil || next[0].Block == cidr {
		t.Errorf("got %v, %v; %s is of block %s, which overlaps another", next, err, got, cidr)
	}
}
