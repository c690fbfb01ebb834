package ipam_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/ipam/memstore"
	"calico-cni/pkg/ipam/pool"
	"calico-cni/pkg/selector"
)

// crashing is a store that fails at the n-th call, before or after the call takes effect, and at all later calls, as if
// the caller had crashed.
type crashing struct {
	*memstore.Store
	left  int
	after bool
	// survives lets the calls after the n-th succeed: only that call fails.
	survives bool
	// late is the number of calls after which the failed n-th call takes effect, because the server has already
	// received it. 0 means never.
	late    int
	delayed func() error
	trace   []string
	// onCall is called before each call.
	onCall func(what string)
}

// call makes one call to the store.
func (c *crashing) call(what string, f func() error) error {
	if c.onCall != nil {
		c.onCall(what)
	}
	c.trace = append(c.trace, what)
	c.left--
	if c.late > 0 && c.left == -c.late {
		c.completeLate()
	}
	switch {
	case c.left < 0 && !c.survives:
		return errCrashed
	case c.left == 0 && c.late > 0:
		c.delayed = f
		return errCrashed
	case c.left == 0:
		if c.after {
			_ = f()
		}
		return errCrashed
	}
	return f()
}

// completeLate lets the delayed call take effect.
func (c *crashing) completeLate() {
	if f := c.delayed; f != nil {
		c.delayed = nil
		_ = f()
	}
}

func (c *crashing) Blocks() ipam.Table[netip.Prefix, block.Block] {
	return crashingTable[netip.Prefix, block.Block]{c, c.Store.Blocks(), "block"}
}

func (c *crashing) Affinities() ipam.Table[ipam.AffinityKey, ipam.Affinity] {
	return crashingTable[ipam.AffinityKey, ipam.Affinity]{c, c.Store.Affinities(), "affinity"}
}

func (c *crashing) Handles() ipam.Table[string, ipam.Handle] {
	return crashingTable[string, ipam.Handle]{c, c.Store.Handles(), "handle"}
}

func (c *crashing) AffinitiesOf(ctx context.Context, node string, cached bool) (rows []ipam.AffinityRow, err error) {
	err = c.call("list affinities", func() (err error) { rows, err = c.Store.AffinitiesOf(ctx, node, cached); return err })
	return rows, err
}

type crashingTable[K comparable, T any] struct {
	c    *crashing
	in   ipam.Table[K, T]
	kind string
}

func (t crashingTable[K, T]) Get(ctx context.Context, k K) (row ipam.Row[T], err error) {
	err = t.c.call("get "+t.kind, func() (err error) { row, err = t.in.Get(ctx, k); return err })
	return row, err
}

func (t crashingTable[K, T]) Create(ctx context.Context, k K, v T) (row ipam.Row[T], err error) {
	err = t.c.call("create "+t.kind, func() (err error) { row, err = t.in.Create(ctx, k, v); return err })
	return row, err
}

func (t crashingTable[K, T]) Update(ctx context.Context, k K, r ipam.Row[T]) (row ipam.Row[T], err error) {
	err = t.c.call("update "+t.kind, func() (err error) { row, err = t.in.Update(ctx, k, r); return err })
	return row, err
}

func (t crashingTable[K, T]) Delete(ctx context.Context, k K, r ipam.Row[T]) error {
	return t.c.call("delete "+t.kind, func() error { return t.in.Delete(ctx, k, r) })
}

// scenario is an operation that is interrupted at each of its calls to the store, on a store from prepare.
type scenario struct {
	prepare func(*testing.T, *memstore.Store)
	run     func(*ipam.Allocator) error
}

func scenarios() map[string]scenario {
	none := func(*testing.T, *memstore.Store) {}
	assign := func(r ipam.Request) func(*ipam.Allocator) error {
		return func(a *ipam.Allocator) error { _, err := assignWith(a, r); return err }
	}
	return map[string]scenario{
		"first assignment of a node": {none, assign(dual("a", "victim"))},
		"assignment from an existing block": {
			func(t *testing.T, s *memstore.Store) { mustAssign(t, s, dual("a", "other")) }, assign(dual("a", "victim")),
		},
		"assignment after a full block": {
			func(t *testing.T, s *memstore.Store) {
				for i := range 4 {
					mustAssign(t, s, only4("a", fmt.Sprint("other", i)))
				}
			}, assign(only4("a", "victim")),
		},
		"assignment that fails in one family": {
			func(_ *testing.T, s *memstore.Store) { s.IPPools = s.IPPools[:1] }, assign(dual("a", "victim")),
		},
		"assignment that takes over an idle block": {
			func(t *testing.T, s *memstore.Store) {
				fillOtherBlocks(t, s)
				mustRelease(t, s, "net.c-0")
			}, assign(only4("a", "victim")),
		},
		"assignment that borrows": {
			func(t *testing.T, s *memstore.Store) { fillOtherBlocks(t, s) }, assign(only4("a", "victim")),
		},
		"assignment that releases an unselected block": {
			func(t *testing.T, s *memstore.Store) {
				mustAssign(t, s, only4("a", "net.old"))
				mustRelease(t, s, "net.old")
				s.IPPools[0].Node = never(t)
				s.IPPools = append(s.IPPools, pool.Pool{Name: "new", CIDR: netip.MustParsePrefix("10.9.0.0/28"), BlockSize: 30})
			}, assign(only4("a", "victim")),
		},
		"second assignment for one handle": {
			func(t *testing.T, s *memstore.Store) { mustAssign(t, s, dual("a", "victim")) }, assign(dual("a", "victim")),
		},
		"release": {
			func(t *testing.T, s *memstore.Store) { mustAssign(t, s, dual("a", "victim")) },
			func(a *ipam.Allocator) error { return release(a, "victim") },
		},
		"release from a block without an owner": {
			func(t *testing.T, s *memstore.Store) {
				mustAssign(t, s, dual("a", "victim"))
				removeAffinities(t, s, "a")
			},
			func(a *ipam.Allocator) error { return release(a, "victim") },
		},
	}
}

// fillOtherBlocks gives node a one full block, and the other blocks of the pool to b, c and d, with one pod each.
func fillOtherBlocks(t *testing.T, s *memstore.Store) {
	t.Helper()
	for _, node := range []string{"b", "c", "d"} {
		fill(t, s, node, 1)
	}
	fill(t, s, "a", 4)
}

// never selects no node.
func never(t testing.TB) *selector.Selector {
	t.Helper()
	s, err := selector.Parse("has(never)")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

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
	check("right after the crash")
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
				t.Errorf("only %d calls made the assignment fail: the test covers too little", failed)
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
