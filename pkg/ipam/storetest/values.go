// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
)

func sizes(t *testing.T, s ipam.Table[netip.Prefix, block.Block]) {
	ctx := context.Background()
	unknown := map[string]json.RawMessage{"newer": json.RawMessage(`{"a":1}`)}
	for _, cidr := range []string{
		"172.30.0.0/20", "172.30.16.5/32", "fd00:5::/116", "fd00:5::1000/122", "fd00:5::2000/128",
	} {
		full := block.New(netip.MustParsePrefix(cidr), "host:a", time.Unix(1_800_000_000, 0).UTC())
		for {
			owner := block.Attribute{Handle: "net.x", Owner: map[string]string{"pod": "p"}, Unknown: unknown}
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

// normalised checks that a write returns the same value as a read: times in whole seconds of UTC, no empty maps of
// owners, and fields of newer writers as the server writes them.
func normalised(t *testing.T, s ipam.Table[netip.Prefix, block.Block]) {
	ctx := context.Background()
	at := time.Unix(1_800_000_000, 123_456_789).In(time.FixedZone("", 3600))
	b := block.New(netip.MustParsePrefix("172.29.0.0/30"), "host:a", at)
	b.Assign(block.Attribute{
		Handle: "net.x", Owner: map[string]string{}, AlternateOwner: map[string]string{},
		Unknown: map[string]json.RawMessage{"newer": json.RawMessage(`{ "b": 2, "a": 1 }`)},
	}, nil)
	h, _ := b.Assign(block.Attribute{Handle: "net.y"}, nil)
	b.Release("net.y", h, at, time.Minute)
	want := b.Clone()
	want.ClaimTime = time.Unix(1_800_000_000, 0).UTC()
	want.Attributes[0].Owner, want.Attributes[0].AlternateOwner = nil, nil
	want.Attributes[0].Unknown["newer"] = json.RawMessage(`{"a":1,"b":2}`)
	want.Attributes[1].ReleasedAt = want.ClaimTime
	compare := func(what string, got block.Block) {
		t.Helper()
		// A write may return the fields of newer writers as they were sent.
		if what != "read" {
			for i := range got.Attributes {
				got.Attributes[i].Unknown = want.Attributes[i].Unknown
			}
		}
		opts := cmp.Options{cmpopts.EquateComparable(netip.Prefix{}, time.Time{}), cmpopts.EquateEmpty()}
		if diff := cmp.Diff(want, got, opts); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	row := must[ipam.Row[block.Block]](t)(s.Create(ctx, b.CIDR, b))
	compare("created", row.Value)
	row.Value = b.Clone()
	row.Value.Sequence++
	want.Sequence++
	compare("updated", must[ipam.Row[block.Block]](t)(s.Update(ctx, b.CIDR, row)).Value)
	compare("read", must[ipam.Row[block.Block]](t)(s.Get(ctx, b.CIDR)).Value)
}

func tooLarge(t *testing.T, s ipam.Table[netip.Prefix, block.Block]) {
	ctx := context.Background()
	b := block.New(netip.MustParsePrefix("172.28.0.0/20"), "host:a", time.Unix(1_800_000_000, 0).UTC())
	for i := range 4096 {
		owner := map[string]string{"pod": strings.Repeat("x", 800)}
		b.Assign(block.Attribute{Handle: fmt.Sprintf("net.%d", i), Owner: owner}, nil)
	}
	_, err := s.Create(ctx, b.CIDR, b)
	noAnswer(t, "create", err)
	_, err = s.Get(ctx, b.CIDR)
	is(t, "get", err, ipam.ErrNotFound)
}

// finalizer checks a block with a finalizer.
func finalizer(t *testing.T, f Fixture) {
	ctx := context.Background()
	s, cidr := f.Store.Blocks(), netip.MustParsePrefix("172.27.0.0/30")
	must[ipam.Row[block.Block]](t)(s.Create(ctx, cidr, sampleBlock(cidr, "host:a")))
	f.Hold(t, cidr)
	row := must[ipam.Row[block.Block]](t)(s.Get(ctx, cidr))
	if row.Deleted {
		t.Error("the row is marked before its deletion")
	}
	erase(t, s, cidr, row)
	row = must[ipam.Row[block.Block]](t)(s.Get(ctx, cidr))
	if !row.Deleted {
		t.Error("the row is not marked after its deletion")
	}
	_, err := s.Create(ctx, cidr, sampleBlock(cidr, "host:b"))
	is(t, "create", err, ipam.ErrExists)
	if err := s.Delete(ctx, cidr, row); err != nil {
		t.Errorf("delete again: %v", err)
	}
}

func emptyState(t *testing.T, s ipam.Table[ipam.AffinityKey, ipam.Affinity]) {
	key := ipam.AffinityKey{Node: "state.a", CIDR: netip.MustParsePrefix("10.2.0.0/26")}
	must[ipam.Row[ipam.Affinity]](t)(s.Create(context.Background(), key, ipam.Affinity{}))
	if got := must[ipam.Row[ipam.Affinity]](t)(s.Get(context.Background(), key)).Value.State; got != ipam.Confirmed {
		t.Errorf("state %q", got)
	}
}

// createdTime checks that the store sets the creation time of a row, in whole seconds, and that updates keep it.
func createdTime(t *testing.T, s ipam.Table[ipam.AffinityKey, ipam.Affinity]) {
	ctx, key := context.Background(), ipam.AffinityKey{Node: "date.a", CIDR: netip.MustParsePrefix("10.2.0.64/26")}
	row := must[ipam.Row[ipam.Affinity]](t)(s.Create(ctx, key, ipam.Affinity{State: ipam.Pending}))
	created := row.Value.Created
	if created.IsZero() || created.Nanosecond() != 0 {
		t.Errorf("created at %v", created)
	}
	row.Value = ipam.Affinity{State: ipam.Confirmed, Created: created.Add(-time.Hour)}
	must[ipam.Row[ipam.Affinity]](t)(s.Update(ctx, key, row))
	if got := must[ipam.Row[ipam.Affinity]](t)(s.Get(ctx, key)).Value.Created; !got.Equal(created) {
		t.Errorf("created at %v, after an update at %v", created, got)
	}
}

func idsShareRow(t *testing.T, s ipam.Table[string, ipam.Handle]) {
	ctx := context.Background()
	row := must[ipam.Row[ipam.Handle]](t)(s.Create(ctx, "net.CASE", ipam.Handle{ID: "net.CASE"}))
	_, err := s.Create(ctx, "net.case", ipam.Handle{ID: "net.case"})
	is(t, "create", err, ipam.ErrExists)
	if got := must[ipam.Row[ipam.Handle]](t)(s.Get(ctx, "net.case")); got.Value.ID != "net.CASE" || got.UID != row.UID {
		t.Errorf("got %+v", got)
	}
}

func touched(t *testing.T, s ipam.Table[string, ipam.Handle]) {
	ctx := context.Background()
	row := must[ipam.Row[ipam.Handle]](t)(s.Create(ctx, "net.touched", ipam.Handle{ID: "net.touched"}))
	for range 3 {
		next := row
		next.Value.Touches++
		next = must[ipam.Row[ipam.Handle]](t)(s.Update(ctx, "net.touched", next))
		is(t, "delete by the revision before the touch", s.Delete(ctx, "net.touched", row), ipam.ErrConflict)
		row = next
	}
}
