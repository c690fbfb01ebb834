// SPDX-License-Identifier: Apache-2.0

// Package storetest is the contract of an ipam.Store as a test suite. docs/store-contract.md lists what each row
// checks, and why an allocator depends on it. The suite runs on every store.
package storetest

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
)

// Fixture is a store under test, with functions that provoke faults.
type Fixture struct {
	Store ipam.Store
	// Faulty is the same store. Its writes fail after Refuse or LoseAnswer was called.
	Faulty ipam.Store
	// Refuse makes writes of Faulty fail without effect, like an overloaded server, until end is called.
	Refuse func() (end func())
	// LoseAnswer makes the next write of Faulty take effect and fail.
	LoseAnswer func()
	// Unserved is a store on a server that does not serve these kinds of objects.
	Unserved ipam.Store
	// Paged is the same store, with lists of blocks in pages of two names.
	Paged ipam.Store
	// Hold sets a finalizer on a block.
	Hold func(t testing.TB, cidr netip.Prefix)
}

// Run runs the suite. Each test opens a fixture. The fixtures may share a store, because every test uses its own rows.
func Run(t *testing.T, open func(testing.TB) Fixture) {
	cidrs := func(i int) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{172, 31, byte(i), 0}), 26)
	}
	t.Run("blocks", func(t *testing.T) {
		kind[netip.Prefix, block.Block]{
			open: open, of: ipam.Store.Blocks, key: cidrs,
			first:  func(i int) block.Block { return sampleBlock(cidrs(i), "host:a") },
			second: func(i int) block.Block { return sampleBlock(cidrs(i), "") },
		}.run(t)
		t.Run("blocks of all sizes are read as they were written", func(t *testing.T) { sizes(t, open(t).Store.Blocks()) })
		t.Run("value is normalised", func(t *testing.T) { normalised(t, open(t).Store.Blocks()) })
		t.Run("value that is too large is refused", func(t *testing.T) { tooLarge(t, open(t).Store.Blocks()) })
		t.Run("blocks that overlap are found", func(t *testing.T) { overlapping(t, open(t).Store) })
		t.Run("blocks that overlap are found in all pages", func(t *testing.T) { pages(t, open(t)) })
		t.Run("block with a finalizer is marked as deleted", func(t *testing.T) { finalizer(t, open(t)) })
	})
	t.Run("affinities", func(t *testing.T) {
		kind[ipam.AffinityKey, ipam.Affinity]{
			open: open, of: ipam.Store.Affinities,
			key:    func(i int) ipam.AffinityKey { return ipam.AffinityKey{Node: "node.table-1", CIDR: cidrs(i)} },
			bad:    &ipam.AffinityKey{Node: "node_1", CIDR: cidrs(1)},
			first:  func(int) ipam.Affinity { return ipam.Affinity{State: ipam.Pending} },
			second: func(int) ipam.Affinity { return ipam.Affinity{State: ipam.Confirmed} },
		}.run(t)
		t.Run("empty state reads as confirmed", func(t *testing.T) { emptyState(t, open(t).Store.Affinities()) })
		t.Run("creation time is kept", func(t *testing.T) { createdTime(t, open(t).Store.Affinities()) })
		t.Run("list has only the affinities of the node", func(t *testing.T) { listsOfNode(t, open(t).Store) })
		t.Run("list is complete", func(t *testing.T) { listIsComplete(t, open(t).Store) })
		t.Run("write of a row from a stale list conflicts", func(t *testing.T) { staleList(t, open(t).Store) })
		t.Run("list of a kind that is not served fails", func(t *testing.T) {
			_, err := open(t).Unserved.AffinitiesOf(context.Background(), "a", false)
			noAnswer(t, "list", err)
		})
	})
	t.Run("handles", func(t *testing.T) {
		id := func(i int) string { return "net.Handle-" + cidrs(i).Addr().String() }
		bad := "net.under_score"
		kind[string, ipam.Handle]{
			open: open, of: ipam.Store.Handles, key: id, bad: &bad,
			first: func(i int) ipam.Handle { return ipam.Handle{ID: id(i), Counts: map[netip.Prefix]int{cidrs(i): 1}} },
			second: func(i int) ipam.Handle {
				counts := map[netip.Prefix]int{netip.MustParsePrefix("fd00::/122"): 3, cidrs(i): 2}
				return ipam.Handle{ID: id(i), Counts: counts, Touches: 4}
			},
		}.run(t)
		t.Run("IDs that differ in case share a row", func(t *testing.T) { idsShareRow(t, open(t).Store.Handles()) })
		t.Run("change of Touches makes a new revision", func(t *testing.T) {
			touched(t, open(t).Store.Handles())
		})
	})
}

// kind is one kind of rows. Keys and values are numbered, so that each test has its own rows.
type kind[K comparable, T any] struct {
	open func(testing.TB) Fixture
	of   func(ipam.Store) ipam.Table[K, T]
	key  func(int) K
	// bad is a key that no object can have, or nil.
	bad           *K
	first, second func(int) T
}

func (k kind[K, T]) run(t *testing.T) {
	k.oneUser(t)
	k.revisions(t)
	k.deletions(t)
	k.concurrentWrites(t)
	k.faults(t)
}

// table returns the table of a new fixture.
func (k kind[K, T]) table(t testing.TB) ipam.Table[K, T] { return k.of(k.open(t).Store) }

// sampleBlock returns a block whose times are whole seconds, which is the precision of every store.
func sampleBlock(cidr netip.Prefix, affinity string) block.Block {
	b := block.New(cidr, affinity, time.Unix(1_800_000_000, 0).UTC())
	b.Assign(block.Attribute{Handle: "net.Abc", Owner: map[string]string{"pod": "p", "node": "a"}}, nil)
	b.Sequence++
	b.Assign(block.Attribute{Handle: "net.Def", AlternateOwner: map[string]string{"pod": "q"}}, nil)
	return b
}

func equal[T any](t testing.TB, what string, want, got T) {
	t.Helper()
	opts := []cmp.Option{
		cmpopts.EquateComparable(netip.Prefix{}), cmpopts.EquateEmpty(),
		cmpopts.IgnoreFields(ipam.Affinity{}, "Created"),
	}
	if diff := cmp.Diff(want, got, opts...); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func is(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got %v, want %v", what, err, want)
	}
}

// noAnswer expects an error that says nothing about the row.
func noAnswer(t testing.TB, what string, err error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s succeeded", what)
	}
	for _, about := range []error{ipam.ErrNotFound, ipam.ErrExists, ipam.ErrConflict} {
		if errors.Is(err, about) {
			t.Errorf("%s: %v, want an error that says nothing about the row", what, err)
		}
	}
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func erase[K comparable, T any](t testing.TB, s ipam.Table[K, T], k K, row ipam.Row[T]) {
	t.Helper()
	if err := s.Delete(context.Background(), k, row); err != nil {
		t.Fatal(err)
	}
}
