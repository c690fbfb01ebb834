// Package storetest is the contract of an ipam.Store as a test suite: what every store promises, run on each of them.
package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
)

// Run runs the suite. Each test asks open for a store; it may be shared, for every test uses rows of its own.
func Run(t *testing.T, open func(testing.TB) ipam.Store) {
	cidrs := func(i int) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{172, 31, byte(i), 0}), 26)
	}
	t.Run("blocks", func(t *testing.T) {
		table(t, func(t testing.TB) ipam.Table[netip.Prefix, block.Block] { return open(t).Blocks() }, cidrs,
			func(i int) block.Block { return sampleBlock(cidrs(i), "host:a") },
			func(i int) block.Block { return sampleBlock(cidrs(i), "") })
	})
	t.Run("affinities", func(t *testing.T) {
		table(t, func(t testing.TB) ipam.Table[ipam.AffinityKey, ipam.Affinity] { return open(t).Affinities() },
			func(i int) ipam.AffinityKey { return ipam.AffinityKey{Node: "node.table-1", CIDR: cidrs(i)} },
			func(int) ipam.Affinity { return ipam.Affinity{State: ipam.Pending} },
			func(int) ipam.Affinity { return ipam.Affinity{State: ipam.Confirmed} })
	})
	t.Run("handles", func(t *testing.T) {
		table(t, func(t testing.TB) ipam.Table[string, ipam.Handle] { return open(t).Handles() },
			func(i int) string { return "net.Handle-" + cidrs(i).Addr().String() },
			func(i int) ipam.Handle {
				return ipam.Handle{ID: "net.Handle-" + cidrs(i).Addr().String(), Counts: map[netip.Prefix]int{cidrs(i): 1}}
			},
			func(i int) ipam.Handle {
				return ipam.Handle{ID: "net.Handle-" + cidrs(i).Addr().String(), Counts: map[netip.Prefix]int{netip.MustParsePrefix("fd00::/122"): 3, cidrs(i): 2}}
			})
	})
	t.Run("affinities of a node are all of its and nobody else's", func(t *testing.T) { affinitiesOf(t, open(t)) })
	t.Run("a block of each shape is read as it was written", func(t *testing.T) { shapes(t, open(t).Blocks()) })
}

// sampleBlock uses whole seconds, which is what every store can keep.
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
		cmpopts.EquateComparable(netip.Prefix{}), cmpopts.EquateEmpty(), cmpopts.IgnoreFields(ipam.Affinity{}, "Created"),
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

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// table checks what holds for a table of any kind. key and the values are numbered so that each test has rows of its own.
func table[K comparable, T any](t *testing.T, open func(testing.TB) ipam.Table[K, T], key func(int) K, first, second func(int) T) {
	tableOfOne(t, open, key, first, second)
	tableOfMany(t, open, key, first, second)
}

// tableOfOne checks what one user of a table sees.
func tableOfOne[K comparable, T any](t *testing.T, open func(testing.TB) ipam.Table[K, T], key func(int) K, first, second func(int) T) {
	ctx := context.Background()
	t.Run("what was written is read", func(t *testing.T) {
		s, k := open(t), key(1)
		created := must[ipam.Row[T]](t)(s.Create(ctx, k, first(1)))
		equal(t, "created", first(1), created.Value)
		read := must[ipam.Row[T]](t)(s.Get(ctx, k))
		equal(t, "read", first(1), read.Value)
		read.Value = second(1)
		updated := must[ipam.Row[T]](t)(s.Update(ctx, k, read))
		equal(t, "updated", second(1), updated.Value)
		equal(t, "read again", second(1), must[ipam.Row[T]](t)(s.Get(ctx, k)).Value)
	})
	t.Run("a row that is not there is not found", func(t *testing.T) {
		s, k := open(t), key(2)
		_, err := s.Get(ctx, k)
		is(t, "get", err, ipam.ErrNotFound)
		row := must[ipam.Row[T]](t)(s.Create(ctx, k, first(2)))
		erase(t, s, k, row)
		_, err = s.Update(ctx, k, row)
		is(t, "update", err, ipam.ErrNotFound)
		is(t, "delete", s.Delete(ctx, k, row), ipam.ErrNotFound)
	})
	t.Run("a row is created once", func(t *testing.T) {
		s, k := open(t), key(3)
		row := must[ipam.Row[T]](t)(s.Create(ctx, k, first(3)))
		_, err := s.Create(ctx, k, second(3))
		is(t, "create again", err, ipam.ErrExists)
		equal(t, "value", first(3), must[ipam.Row[T]](t)(s.Get(ctx, k)).Value)
		row.Deleted = true
		must[ipam.Row[T]](t)(s.Update(ctx, k, row))
		_, err = s.Create(ctx, k, second(3))
		is(t, "create while a deletion has begun", err, ipam.ErrExists)
	})
	t.Run("a value handed out is the caller's own", func(t *testing.T) {
		s, k := open(t), key(8)
		row := must[ipam.Row[T]](t)(s.Create(ctx, k, first(8)))
		switch v := any(row.Value).(type) {
		case block.Block:
			v.Allocations[0], v.Attributes[0].Owner["pod"] = 1, "changed"
		case ipam.Handle:
			v.Counts[netip.MustParsePrefix("10.9.0.0/26")] = 9
		}
		equal(t, "value", first(8), must[ipam.Row[T]](t)(s.Get(ctx, k)).Value)
	})
}

// tableOfMany checks what keeps several users of a table apart.
func tableOfMany[K comparable, T any](t *testing.T, open func(testing.TB) ipam.Table[K, T], key func(int) K, first, second func(int) T) {
	ctx := context.Background()
	t.Run("a stale revision neither updates nor deletes", func(t *testing.T) {
		s, k := open(t), key(4)
		stale := must[ipam.Row[T]](t)(s.Create(ctx, k, first(4)))
		row := stale
		row.Value = second(4)
		must[ipam.Row[T]](t)(s.Update(ctx, k, row))
		_, err := s.Update(ctx, k, stale)
		is(t, "update", err, ipam.ErrConflict)
		is(t, "delete", s.Delete(ctx, k, stale), ipam.ErrConflict)
		equal(t, "value", second(4), must[ipam.Row[T]](t)(s.Get(ctx, k)).Value)
	})
	t.Run("a revision of an earlier life neither updates nor deletes", func(t *testing.T) {
		s, k := open(t), key(5)
		old := must[ipam.Row[T]](t)(s.Create(ctx, k, first(5)))
		erase(t, s, k, old)
		must[ipam.Row[T]](t)(s.Create(ctx, k, first(5)))
		_, err := s.Update(ctx, k, old)
		is(t, "update", err, ipam.ErrConflict)
		is(t, "delete", s.Delete(ctx, k, old), ipam.ErrConflict)
	})
	t.Run("an update that changes nothing keeps the revision", func(t *testing.T) {
		s, k := open(t), key(9)
		row := must[ipam.Row[T]](t)(s.Create(ctx, k, first(9)))
		row.Value = second(9)
		// The first update may change what no value shows, such as metadata.managedFields.
		row = must[ipam.Row[T]](t)(s.Update(ctx, k, row))
		for range 2 {
			equal(t, "value", second(9), must[ipam.Row[T]](t)(s.Update(ctx, k, row)).Value)
		}
		marked := row
		marked.Deleted = true
		marked = must[ipam.Row[T]](t)(s.Update(ctx, k, marked))
		_, err := s.Update(ctx, k, row)
		is(t, "update by the revision before the mark", err, ipam.ErrConflict)
		if again := must[ipam.Row[T]](t)(s.Update(ctx, k, marked)); !again.Deleted {
			t.Error("the update of a marked row that changes nothing took the mark away")
		}
		if err := s.Delete(ctx, k, marked); err != nil {
			t.Errorf("delete by the revision before the update that changed nothing: %v", err)
		}
	})
	t.Run("a deletion that has begun is seen", func(t *testing.T) {
		s, k := open(t), key(6)
		row := must[ipam.Row[T]](t)(s.Create(ctx, k, first(6)))
		row.Deleted = true
		must[ipam.Row[T]](t)(s.Update(ctx, k, row))
		got := must[ipam.Row[T]](t)(s.Get(ctx, k))
		if !got.Deleted {
			t.Error("the row does not say that its deletion has begun")
		}
		if err := s.Delete(ctx, k, got); err != nil {
			t.Errorf("finish the deletion: %v", err)
		}
	})
	t.Run("of many writers of one revision one wins", func(t *testing.T) {
		s, k := open(t), key(7)
		row := must[ipam.Row[T]](t)(s.Create(ctx, k, first(7)))
		row.Value = second(7)
		errs := make([]error, 8)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() { _, errs[i] = s.Update(ctx, k, row) })
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else {
				is(t, "loser", err, ipam.ErrConflict)
			}
		}
		if won != 1 {
			t.Errorf("%d writers won: %v", won, errs)
		}
	})
}

func erase[K comparable, T any](t testing.TB, s ipam.Table[K, T], k K, row ipam.Row[T]) {
	t.Helper()
	if err := s.Delete(context.Background(), k, row); err != nil {
		t.Fatal(err)
	}
}

func affinitiesOf(t *testing.T, s ipam.Store) {
	ctx := context.Background()
	want := map[string]ipam.State{"10.1.0.0/26": ipam.Pending, "10.1.0.64/26": ipam.Confirmed, "fd00:1::/122": ipam.PendingDeletion}
	for cidr, state := range want {
		must[ipam.Row[ipam.Affinity]](t)(s.Affinities().Create(ctx, ipam.AffinityKey{Node: "list.a", CIDR: netip.MustParsePrefix(cidr)}, ipam.Affinity{State: state}))
	}
	for _, node := range []string{"list.b", "list.a-1", "list"} {
		must[ipam.Row[ipam.Affinity]](t)(s.Affinities().Create(ctx, ipam.AffinityKey{Node: node, CIDR: netip.MustParsePrefix("10.1.0.128/26")}, ipam.Affinity{State: ipam.Confirmed}))
	}
	rows := must[[]ipam.AffinityRow](t)(s.AffinitiesOf(ctx, "list.a", false))
	got := map[string]ipam.State{}
	for _, row := range rows {
		if row.Key.Node != "list.a" {
			t.Errorf("affinity of another node: %v", row.Key)
		}
		got[row.Key.CIDR.String()] = row.Value.State
	}
	equal(t, "affinities", want, got)
	for _, row := range rows {
		row.Value.State = ipam.Confirmed
		if _, err := s.Affinities().Update(ctx, row.Key, row.Row); err != nil {
			t.Errorf("a listed row cannot be written back: %v", err)
		}
	}
}

func shapes(t *testing.T, s ipam.Table[netip.Prefix, block.Block]) {
	ctx := context.Background()
	for _, cidr := range []string{"172.30.0.0/20", "172.30.16.5/32", "fd00:5::/116", "fd00:5::1000/122", "fd00:5::2000/128"} {
		full := block.New(netip.MustParsePrefix(cidr), "host:a", time.Unix(1_800_000_000, 0).UTC())
		for {
			owner := block.Attribute{Handle: "net.x", Owner: map[string]string{"pod": "p"}, Unknown: map[string]json.RawMessage{"newer": json.RawMessage(`{"a":1}`)}}
			if full.Usage().Used%2 == 0 {
				owner = block.Attribute{Handle: "net.y"}
			}
			if _, ok := full.Assign(owner, nil); !ok || len(full.Attributes) > 3 {
				break
			}
		}
		must[ipam.Row[block.Block]](t)(s.Create(ctx, full.CIDR, full))
		equal(t, cidr, full, must[ipam.Row[block.Block]](t)(s.Get(ctx, full.CIDR)).Value)
	}
}
