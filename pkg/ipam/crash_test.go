// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"fmt"
	"strings"
	"testing"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/memstore"
)

// TestCrashAtAnyStoreCallLeaksNothing crashes every scenario at each of its calls to the store, before and after the
// call takes effect. The store must then satisfy the invariants. The runtime's DEL must remove all of the victim, and
// the next ADD of the node must succeed and use the existing blocks.
func TestCrashAtAnyStoreCallLeaksNothing(t *testing.T) {
	for name, sc := range scenarios() {
		t.Run(name, func(t *testing.T) {
			for n := 1; ; n++ {
				finished := true
				for _, after := range []bool{false, true} {
					s := newStore()
					sc.prepare(t, s)
					c := &crashing{Store: s, left: n, after: after}
					err := sc.run(&ipam.Allocator{Store: c, Now: later(), Parallel: 1})
					finished = finished && len(c.trace) < n
					at := fmt.Sprintf("crash at call %d (after it: %v), trace:\n%s\nerror: %v",
						n, after, strings.Join(c.trace, "\n"), err)
					wantRecovery(t, s, at)
				}
				if finished {
					return
				}
				if n > 200 {
					t.Fatal("the operation never ends")
				}
			}
		})
	}
}

// wantRecovery runs a repeated DEL and an ADD after a crash, and checks the store after each of them.
func wantRecovery(t *testing.T, s *memstore.Store, at string) {
	t.Helper()
	check := func(when string) {
		t.Helper()
		if bad := s.Check(); len(bad) > 0 {
			t.Fatalf("%s: %s\n%s\nstore:\n%s", when, strings.Join(bad, "\n"), at, s)
		}
	}
	check("after the crash")
	for range 2 {
		if err := release(&ipam.Allocator{Store: s, Now: later(), Parallel: 1}, "victim"); err != nil {
			t.Fatalf("DEL after the crash: %v\n%s\nstore:\n%s", err, at, s)
		}
		check("after DEL")
		if strings.Contains(s.String(), "victim") {
			t.Fatalf("DEL left rows of the victim\n%s\nstore:\n%s", at, s)
		}
	}
	blocks := countBlocks(s)
	mustAssign(t, s, only4("a", "next"))
	check("after the next ADD")
	for _, line := range strings.Split(s.String(), "\n") {
		if strings.HasPrefix(line, "affinity a 10.") && !strings.HasSuffix(line, string(ipam.Confirmed)) {
			t.Fatalf("the next ADD left an incomplete claim: %s\n%s\nstore:\n%s", line, at, s)
		}
	}
	if now := countBlocks(s); now > blocks+1 {
		t.Fatalf("%d blocks became %d\n%s\nstore:\n%s", blocks, now, at, s)
	}
}

func countBlocks(s *memstore.Store) int {
	return strings.Count("\n"+s.String(), "\nblock ")
}

// TestFailedAssignmentIsReverted fails one call to the store, each in turn. If the assignment fails then, it must have
// reverted all of its writes, without a DEL.
func TestFailedAssignmentIsReverted(t *testing.T) {
	for name, prepare := range map[string]func(*memstore.Store){
		"on an empty cluster": func(*memstore.Store) {},
		"with another pod":    func(s *memstore.Store) { mustAssign(t, s, dual("a", "other")) },
	} {
		t.Run(name, func(t *testing.T) {
			failed := 0
			for n := 1; n < 100; n++ {
				s := newStore()
				prepare(s)
				c := &crashing{Store: s, left: n, survives: true}
				_, err := assignWith(&ipam.Allocator{Store: c, Now: later(), Parallel: 1}, dual("a", "victim"))
				if err == nil {
					continue
				}
				failed++
				if strings.Contains(s.String(), "victim") || len(s.Check()) > 0 {
					t.Fatalf("call %d failed: %v\ntrace:\n%s\nstore:\n%s\nbroken: %v",
						n, err, strings.Join(c.trace, "\n"), s, s.Check())
				}
			}
			if failed < 5 {
				t.Errorf("%d calls made the assignment fail, want at least 5", failed)
			}
		})
	}
}

// TestDeleteRemovesEffectsOfLateWrite fails each call of a scenario, as if the command had been stopped, and lets it
// take effect some calls later, up to after the undo. The following DEL must remove all of the victim.
func TestDeleteRemovesEffectsOfLateWrite(t *testing.T) {
	const latest = 12
	for name, sc := range scenarios() {
		t.Run(name, func(t *testing.T) {
			for n := 1; ; n++ {
				finished := true
				for late := 1; late <= latest; late++ {
					s := newStore()
					sc.prepare(t, s)
					c := &crashing{Store: s, left: n, late: late, survives: true}
					err := sc.run(&ipam.Allocator{Store: c, Now: later(), Parallel: 1})
					c.completeLate()
					finished = finished && len(c.trace) < n
					at := fmt.Sprintf("call %d takes effect %d calls late, trace:\n%s\nerror: %v",
						n, late, strings.Join(c.trace, "\n"), err)
					wantRecovery(t, s, at)
				}
				if finished {
					return
				}
				if n > 200 {
					t.Fatal("the operation never ends")
				}
			}
		})
	}
}

func TestBlockWithoutOwnerIsDeletedWithLastAddress(t *testing.T) {
	s := newStore()
	mustAssign(t, s, only4("a", "net.1"))
	mustAssign(t, s, only4("a", "net.2"))
	removeAffinities(t, s, "a")
	mustRelease(t, s, "net.1")
	if countBlocks(s) != 1 {
		t.Fatalf("the block was deleted with an allocated address:\n%s", s)
	}
	mustRelease(t, s, "net.2")
	wantStore(t, s, "")
}
