// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"net/netip"
	"sync"
	"testing"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
)

func listsOfNode(t *testing.T, s ipam.Store) {
	ctx := context.Background()
	want := map[string]ipam.State{
		"10.1.0.0/26": ipam.Pending, "10.1.0.64/26": ipam.Confirmed, "fd00:1::/122": ipam.PendingDeletion,
	}
	create := func(node, cidr string, state ipam.State) {
		key := ipam.AffinityKey{Node: node, CIDR: netip.MustParsePrefix(cidr)}
		must[ipam.Row[ipam.Affinity]](t)(s.Affinities().Create(ctx, key, ipam.Affinity{State: state}))
	}
	for cidr, state := range want {
		create("list.a", cidr, state)
	}
	for _, node := range []string{"list.b", "list.a-1", "list"} {
		create(node, "10.1.0.128/26", ipam.Confirmed)
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

// listIsComplete lists more rows than the default page of kubectl has.
func listIsComplete(t *testing.T, s ipam.Store) {
	ctx, n := context.Background(), 520
	cidr := func(i int) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 3, byte(i >> 8), byte(i)}), 32)
	}
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := worker; i < n; i += 8 {
				key := ipam.AffinityKey{Node: "full.a", CIDR: cidr(i)}
				if _, err := s.Affinities().Create(ctx, key, ipam.Affinity{State: ipam.Confirmed}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := len(must[[]ipam.AffinityRow](t)(s.AffinitiesOf(ctx, "full.a", false))); got != n {
		t.Errorf("%d rows, want %d", got, n)
	}
}

// staleList writes rows of a list that is older than the last write, as cached lists may be.
func staleList(t *testing.T, s ipam.Store) {
	ctx, key := context.Background(), ipam.AffinityKey{Node: "old.a", CIDR: netip.MustParsePrefix("10.4.0.0/26")}
	row := must[ipam.Row[ipam.Affinity]](t)(s.Affinities().Create(ctx, key, ipam.Affinity{State: ipam.Pending}))
	listed := must[[]ipam.AffinityRow](t)(s.AffinitiesOf(ctx, "old.a", false))
	row.Value.State = ipam.Confirmed
	must[ipam.Row[ipam.Affinity]](t)(s.Affinities().Update(ctx, key, row))
	if len(listed) != 1 {
		t.Fatalf("listed %v", listed)
	}
	_, err := s.Affinities().Update(ctx, key, listed[0].Row)
	is(t, "update", err, ipam.ErrConflict)
	is(t, "delete", s.Affinities().Delete(ctx, key, listed[0].Row), ipam.ErrConflict)
	// A cached list shows a past state.
	for _, row := range must[[]ipam.AffinityRow](t)(s.AffinitiesOf(ctx, "old.a", true)) {
		if row.Key != key || row.Value.State != ipam.Pending && row.Value.State != ipam.Confirmed {
			t.Errorf("cached list has %v", row)
		}
	}
}

// overlapping reads the blocks that overlap a CIDR: equal, larger and smaller ones, including those that are marked as
// deleted.
func overlapping(t *testing.T, s ipam.Store) {
	ctx := context.Background()
	for _, text := range []string{"172.26.0.0/28", "172.26.0.0/30", "172.26.0.4/30", "172.26.0.16/30", "fd00:7::/124"} {
		cidr := netip.MustParsePrefix(text)
		row := must[ipam.Row[block.Block]](t)(s.Blocks().Create(ctx, cidr, sampleBlock(cidr, "host:a")))
		if text == "172.26.0.4/30" {
			row.Deleted = true
			must[ipam.Row[block.Block]](t)(s.Blocks().Update(ctx, cidr, row))
		}
	}
	for of, want := range map[string][]string{
		"172.26.0.0/30":  {"172.26.0.0/28", "172.26.0.0/30"},
		"172.26.0.0/29":  {"172.26.0.0/28", "172.26.0.0/30", "172.26.0.4/30"},
		"172.26.0.5/32":  {"172.26.0.0/28", "172.26.0.4/30"},
		"172.26.0.16/28": {"172.26.0.16/30"},
		"172.26.0.32/28": nil,
		"fd00:7::1/128":  {"fd00:7::/124"},
	} {
		var got []string
		for _, cidr := range must[[]netip.Prefix](t)(s.BlocksOverlapping(ctx, netip.MustParsePrefix(of))) {
			got = append(got, cidr.String())
		}
		equal(t, of, want, got)
	}
}

// pages lists blocks that do not fit in one page, again after each of them is created.
func pages(t *testing.T, f Fixture) {
	ctx, all := context.Background(), netip.MustParsePrefix("172.24.0.0/26")
	var want []netip.Prefix
	for i := range 9 {
		if i > 0 {
			equal(t, "overlapping blocks", want, must[[]netip.Prefix](t)(f.Paged.BlocksOverlapping(ctx, all)))
		}
		cidr := netip.PrefixFrom(netip.AddrFrom4([4]byte{172, 24, 0, byte(4 * i)}), 30)
		must[ipam.Row[block.Block]](t)(f.Store.Blocks().Create(ctx, cidr, sampleBlock(cidr, "host:a")))
		want = append(want, cidr)
	}
	equal(t, "overlapping blocks", want, must[[]netip.Prefix](t)(f.Paged.BlocksOverlapping(ctx, all)))
}
