// SPDX-License-Identifier: Apache-2.0

package nodeipam

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"calico-cni/internal/bootclock"
	"calico-cni/internal/nodestate"
	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
)

func newBlockFiles(t *testing.T) nodestate.BlockFiles {
	t.Helper()
	return nodestate.BlockFiles{Dir: filepath.Join(t.TempDir(), "run", "blocks"), Boot: bootclock.Now}
}

func TestBlockCacheIndexesBlocksWithRoom(t *testing.T) {
	r := blockCache{files: newBlockFiles(t), node: "a"}
	from := func(block string) ipam.Assigned { return ipam.Assigned{Block: netip.MustParsePrefix(block)} }
	last, borrowed, again := from("10.0.0.64/26"), from("10.0.1.0/26"), from("10.0.2.0/26")
	last.Last, borrowed.Borrowed, again.Existing = true, true, true
	four, dual := []ipam.Want{{}}, []ipam.Want{{}, {IPv6: true}}
	for _, step := range []struct {
		what       string
		assigned   []ipam.Assigned
		four, dual string
	}{
		{"no assignment", nil, "[]", "[]"},
		{"an IPv4 address", []ipam.Assigned{from("10.0.0.0/26")}, "[10.0.0.0/26]", "[]"},
		{
			"one address of each family",
			[]ipam.Assigned{from("10.0.0.64/26"), from("fd00::/122")},
			"[10.0.0.64/26]",
			"[10.0.0.64/26 fd00::/122]",
		},
		{"the last address of the block", []ipam.Assigned{last}, "[]", "[]"},
		{
			"an address of a new block", []ipam.Assigned{from("10.0.0.128/26")}, "[10.0.0.128/26]", "[10.0.0.128/26 fd00::/122]",
		},
		{"a borrowed address", []ipam.Assigned{borrowed}, "[]", "[]"},
		{"an address that was held already", []ipam.Assigned{again}, "[]", "[]"},
	} {
		if step.assigned != nil {
			r.update(step.assigned, always)
		}
		blocks4, _ := r.forAll(four)
		blocks46, _ := r.forAll(dual)
		got := fmt.Sprint(blocks4) + " " + fmt.Sprint(blocks46)
		if diff := cmp.Diff(step.four+" "+step.dual, got); diff != "" {
			t.Errorf("after %s (-want +got):\n%s", step.what, diff)
		}
		other := blockCache{files: r.files, node: "b"}
		if blocks, _ := other.forAll(four); blocks != nil {
			t.Errorf("after %s: another node has it, too", step.what)
		}
	}
}

// plainCodec encodes a block as two lines: CIDR and revision.
type plainCodec struct{}

func (plainCodec) EncodeBlock(row ipam.Row[block.Block]) ([]byte, error) {
	return fmt.Appendf(nil, "%s\n%v\n", row.Value.CIDR, row.Rev), nil
}

func (plainCodec) DecodeBlock(data []byte) (ipam.Row[block.Block], error) {
	var row ipam.Row[block.Block]
	var cidr, rev string
	if _, err := fmt.Sscanf(string(data), "%s\n%s\n", &cidr, &rev); err != nil {
		return row, err
	}
	row.Rev = rev
	return row, row.Value.CIDR.UnmarshalText([]byte(cidr))
}

func TestBlockCacheReturnsLastWrittenBlock(t *testing.T) {
	r := blockCache{files: newBlockFiles(t), codec: plainCodec{}}
	first, second := netip.MustParsePrefix("10.0.0.0/26"), netip.MustParsePrefix("fd00::40/122")
	row := func(cidr netip.Prefix, rev string) ipam.Row[block.Block] {
		return ipam.Row[block.Block]{Value: block.Block{CIDR: cidr}, Rev: rev}
	}
	for _, step := range []struct {
		what string
		do   func()
		want string
	}{
		{"no call", func() {}, "no no"},
		{"Replace without an entry", func() { r.Replace(first, row(first, "1")) }, "no no"},
		{"Put", func() { r.Put(first, row(first, "2")) }, "2 no"},
		{"Replace", func() { r.Replace(first, row(first, "3")) }, "3 no"},
		{"Put of another block", func() { r.Put(second, row(second, "4")) }, "3 4"},
		{"Put of a block that cannot be decoded", func() { r.Put(second, row(second, "")) }, "3 no"},
		{"Put of another block's content", func() { r.Put(second, row(first, "5")) }, "3 no"},
		{"Delete", func() { r.Delete(first) }, "no no"},
	} {
		step.do()
		var got []string
		for _, cidr := range []netip.Prefix{first, second} {
			if row, ok := r.Get(cidr); ok {
				got = append(got, fmt.Sprint(row.Rev))
			} else {
				got = append(got, "no")
			}
		}
		if diff := cmp.Diff(step.want, strings.Join(got, " ")); diff != "" {
			t.Errorf("after %s (-want +got):\n%s", step.what, diff)
		}
	}
}

func always(netip.Prefix) bool { return true }

// TestBlockCacheVerifiesEachFamily verifies the affinities of one family only.
func TestBlockCacheVerifiesEachFamily(t *testing.T) {
	c := blockCache{files: newBlockFiles(t), node: "a"}
	assigned := []ipam.Assigned{{Block: netip.MustParsePrefix("10.0.0.0/26")}, {Block: netip.MustParsePrefix("fd00::/122")}}
	only4 := func(cidr netip.Prefix) bool { return cidr.Addr().Is4() }
	for _, step := range []struct {
		verified   func(netip.Prefix) bool
		four, dual bool
	}{{only4, false, true}, {always, false, false}} {
		c.update(assigned, step.verified)
		_, four := c.forAll([]ipam.Want{{}})
		_, dual := c.forAll([]ipam.Want{{}, {IPv6: true}})
		if four != step.four || dual != step.dual {
			t.Errorf("verify: %v for IPv4, %v for both; want %v, %v", four, dual, step.four, step.dual)
		}
	}
}
