// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"net/http"
	"net/netip"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"calico-cni/internal/nodestate"
	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/ipam/crdstore"
)

// TestBlocksOverlapping covers both ways of reading: by name, and from the list of all blocks.
func TestBlocksOverlapping(t *testing.T) {
	_, client := cluster(t)
	s := crdstore.New(client, crdstore.V1, nodestate.Once(filepath.Join(t.TempDir(), "labelled")))
	for _, cidr := range []string{
		"10.77.0.0/26", "10.77.0.64/29", "10.77.0.127/32", "10.77.16.0/20", "fd00:77::/122", "fd00:77::40/128",
	} {
		p := netip.MustParsePrefix(cidr)
		if _, err := s.Blocks().Create(t.Context(), p, block.New(p, "host:n", time.Now())); err != nil {
			t.Fatal(err)
		}
	}
	for cidr, want := range map[string][]string{
		"10.77.0.0/26":    {"10.77.0.0/26"},
		"10.77.0.64/26":   {"10.77.0.64/29", "10.77.0.127/32"},
		"10.77.0.0/24":    {"10.77.0.0/26", "10.77.0.64/29", "10.77.0.127/32"},
		"10.77.0.63/32":   {"10.77.0.0/26"},
		"10.77.0.126/32":  nil,
		"10.77.31.192/26": {"10.77.16.0/20"},
		"10.77.0.0/16":    {"10.77.0.0/26", "10.77.0.64/29", "10.77.0.127/32", "10.77.16.0/20"},
		"10.77.32.0/20":   nil,
		"fd00:77::/64":    {"fd00:77::/122", "fd00:77::40/128"},
		"fd00:77::40/123": {"fd00:77::40/128"},
	} {
		got, err := s.BlocksOverlapping(t.Context(), netip.MustParsePrefix(cidr))
		if err != nil {
			t.Fatal(err)
		}
		var texts []string
		for _, p := range got {
			texts = append(texts, p.String())
		}
		sorted := cmpopts.SortSlices(func(a, b string) bool { return a < b })
		if diff := cmp.Diff(want, texts, cmpopts.EquateEmpty(), sorted); diff != "" {
			t.Errorf("%s (-want +got):\n%s", cidr, diff)
		}
	}
}

// TestBlocksOverlappingReadsAllPages counts the requests for further pages.
func TestBlocksOverlappingReadsAllPages(t *testing.T) {
	server, _ := cluster(t)
	var further atomic.Int32
	client := byKube(t, through(t, server, func(r *http.Request) {
		if r.URL.Query().Get("continue") != "" {
			further.Add(1)
		}
	}, func(next http.Handler) http.Handler { return next }))
	s := newStore(t, client, crdstore.V1)
	s.SetPageSize(1)
	var want []netip.Prefix
	for _, cidr := range []string{"10.79.0.0/30", "10.79.0.4/30", "10.79.0.8/30"} {
		p := netip.MustParsePrefix(cidr)
		if _, err := s.Blocks().Create(t.Context(), p, block.New(p, "host:n", time.Now())); err != nil {
			t.Fatal(err)
		}
		want = append(want, p)
	}
	got, err := s.BlocksOverlapping(t.Context(), netip.MustParsePrefix("10.79.0.0/26"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Errorf("blocks (-want +got):\n%s", diff)
	}
	if n := further.Load(); n < 2 {
		t.Errorf("%d requests for further pages, want at least 2", n)
	}
}
