// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/memstore"
	"calico-cni/pkg/ipam/pool"
)

// clock returns a clock that advances by one second with each call, so that no two writes have the same time.
func clock() func() time.Time {
	start, looks := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC), new(atomic.Int64)
	return func() time.Time { return start.Add(time.Duration(looks.Add(1)) * time.Second) }
}

// later returns a clock that starts an hour after that of clock: all blocks of newStore can be taken over.
func later() func() time.Time {
	now := clock()
	return func() time.Time { return now().Add(time.Hour) }
}

// newStore returns a store with one pool per IP family. Each has four blocks of four addresses.
func newStore() *memstore.Store {
	s := memstore.New(clock())
	s.IPPools = []pool.Pool{
		{Name: "v4", CIDR: netip.MustParsePrefix("10.0.0.0/28"), BlockSize: 30},
		{Name: "v6", CIDR: netip.MustParsePrefix("fd00::/124"), BlockSize: 126},
	}
	return s
}

func only4(node, handle string) ipam.Request {
	return ipam.Request{
		Node: node, Handle: handle, Wants: []ipam.Want{{}},
		Owner: map[string]string{"pod": handle, "node": node, "timestamp": fmt.Sprint(stamp())},
	}
}

func dual(node, handle string) ipam.Request {
	r := only4(node, handle)
	r.Wants = append(r.Wants, ipam.Want{IPv6: true})
	return r
}

// stamp makes the owner of each request unique, as the time does in the plugin.
func stamp() int64 { return stamps.Add(1) }

var stamps atomic.Int64

// assignWith reads the view and assigns, as the plugin does.
func assignWith(a *ipam.Allocator, r ipam.Request) ([]ipam.Assigned, error) {
	view, err := a.Gather(context.Background(), a.Store.(ipam.Cluster), r.Node, nil, false)
	if err != nil {
		return nil, err
	}
	return a.Assign(context.Background(), view, r)
}

func assign(s *memstore.Store, r ipam.Request) (string, error) {
	got, err := assignWith(&ipam.Allocator{Store: s, Now: s.Now}, r)
	var addrs []string
	for _, g := range got {
		addrs = append(addrs, g.Addr.String())
	}
	return strings.Join(addrs, " "), err
}

func mustAssign(t testing.TB, s *memstore.Store, r ipam.Request) string {
	t.Helper()
	got, err := assign(s, r)
	if err != nil {
		t.Fatalf("assign: %v\nstore:\n%s", err, s)
	}
	return got
}

func release(a *ipam.Allocator, handle string) error {
	h, err := a.Lookup(context.Background(), handle)
	if err != nil {
		return err
	}
	_, err = a.Release(context.Background(), h, nil, 0)
	return err
}

func mustRelease(t testing.TB, s *memstore.Store, handle string) {
	t.Helper()
	if err := release(&ipam.Allocator{Store: s, Now: s.Now}, handle); err != nil {
		t.Fatalf("release %s: %v", handle, err)
	}
}

// removeAffinities removes the affinities of a node, as an administrator or a controller may do while pods are running.
func removeAffinities(t testing.TB, s *memstore.Store, node string) {
	t.Helper()
	ctx := context.Background()
	rows, _ := s.AffinitiesOf(ctx, node, false)
	for _, row := range rows {
		b, err := s.Blocks().Get(ctx, row.Key.CIDR)
		if err != nil {
			t.Fatal(err)
		}
		b.Value.Affinity = ""
		if _, err := s.Blocks().Update(ctx, row.Key.CIDR, b); err != nil {
			t.Fatal(err)
		}
		row.Deleted = true
		marked, err := s.Affinities().Update(ctx, row.Key, row.Row)
		if err == nil {
			err = s.Affinities().Delete(ctx, row.Key, marked)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func wantStore(t testing.TB, s *memstore.Store, want string) {
	t.Helper()
	want = strings.TrimSpace(strings.ReplaceAll(want, "\t", ""))
	if diff := cmp.Diff(want, s.String()); diff != "" {
		t.Errorf("store (-want +got):\n%s", diff)
	}
	if bad := s.Check(); len(bad) > 0 {
		t.Errorf("broken: %s", strings.Join(bad, "\n"))
	}
}
