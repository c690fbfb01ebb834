// SPDX-License-Identifier: Apache-2.0

package nodeipam

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"calico-cni/internal/bootclock"
	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
)

func TestBlockCacheIndexesBlocksWithRoom(t *testing.T) {
	r := blockCache{dir: filepath.Join(t.TempDir(), "run", "blocks"), node: "a", boot: bootclock.Now}
	from := func(block string) ipam.Assigned { return ipam.Assigned{Block: netip.MustParsePrefix(block)} }
	last, borrowed, again := from("10.0.0.64/26"), from("10.0.1.0/26"), from("10.0.2.0/26")
	last.Last, borrowed.Borrowed, again.Existing = true, true, true
	four, dual := []ipam.Want{{}}, []ipam.Want{{}, {IPv6: true}}
	for _, step := range []struct {
		what       string
		assigned   []ipam.Assigned
		four, dual string
	}{
		{"nothing yet", nil, "[]", "[]"},
		{"an IPv4 address", []ipam.Assigned{from("10.0.0.0/26")}, "[10.0.0.0/26]", "[]"},
		{"one of each family", []ipam.Assigned{from("10.0.0.64/26"), from("fd00::/122")}, "[10.0.0.64/26]", "[10.0.0.64/26 fd00::/122]"},
		{"the last of the block", []ipam.Assigned{last}, "[]", "[]"},
		{"one of a new block", []ipam.Assigned{from("10.0.0.128/26")}, "[10.0.0.128/26]", "[10.0.0.128/26 fd00::/122]"},
		{"a borrowed one", []ipam.Assigned{borrowed}, "[]", "[]"},
		{"one that was held already", []ipam.Assigned{again}, "[]", "[]"},
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
		other := blockCache{dir: r.dir, node: "b", boot: r.boot}
		if blocks, _ := other.forAll(four); blocks != nil {
			t.Errorf("after %s: another node remembers it, too", step.what)
		}
	}
}

func TestBorrowedBlocksAreKeptWhileInUse(t *testing.T) {
	b := borrowed(filepath.Join(t.TempDir(), "lib", "borrowed"))
	list := func(want string) {
		t.Helper()
		lenders, err := b.list()
		var got []netip.Prefix
		for _, l := range lenders {
			got = append(got, l.cidr)
		}
		if err != nil || fmt.Sprint(got) != want {
			t.Errorf("lenders %v, %v, want %s", got, err, want)
		}
	}
	list("[]")
	four, six := netip.MustParsePrefix("10.0.0.0/26"), netip.MustParsePrefix("fd00::40/122")
	for _, cidr := range []netip.Prefix{four, six, four} {
		if err := b.add(cidr); err != nil {
			t.Fatal(err)
		}
	}
	list("[10.0.0.0/26 fd00::40/122]")
	before, err := b.list()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.add(four); err != nil {
		t.Fatal(err)
	}
	for _, l := range before {
		b.forget(l)
	}
	list("[10.0.0.0/26]")
	// The release before writes empty files.
	past := time.Now().Add(-time.Hour)
	if err := errors.Join(os.WriteFile(b.path(six), nil, 0o644), os.Chtimes(b.path(six), past, past)); err != nil {
		t.Fatal(err)
	}
	before, _ = b.list()
	if err := os.WriteFile(b.path(six), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, l := range before {
		b.forget(l)
	}
	list("[fd00::40/122]")
}

// plainCodec has the address in a block's first line, and the revision in the second.
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
	r := blockCache{dir: filepath.Join(t.TempDir(), "run", "blocks"), blocks: plainCodec{}, boot: bootclock.Now}
	first, second := netip.MustParsePrefix("10.0.0.0/26"), netip.MustParsePrefix("fd00::40/122")
	row := func(cidr netip.Prefix, rev string) ipam.Row[block.Block] {
		return ipam.Row[block.Block]{Value: block.Block{CIDR: cidr}, Rev: rev}
	}
	for _, step := range []struct {
		what string
		do   func()
		want string
	}{
		{"nothing", func() {}, "no no"},
		{"a renewal of what was not remembered", func() { r.Replace(first, row(first, "1")) }, "no no"},
		{"one was kept", func() { r.Put(first, row(first, "2")) }, "2 no"},
		{"one was renewed", func() { r.Replace(first, row(first, "3")) }, "3 no"},
		{"another was kept", func() { r.Put(second, row(second, "4")) }, "3 4"},
		{"one was written by halves", func() { r.Put(second, row(second, "")) }, "3 no"},
		{"a file has another block's content", func() { r.Put(second, row(first, "5")) }, "3 no"},
		{"one was forgotten", func() { r.Delete(first) }, "no no"},
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

// TestBlockCacheIgnoresTornFile has the front of one content, and its revision,
// before the rest of another, which is what a kill or two writers at once leave of two that are as long. It reads like
// a block.
func TestBlockCacheIgnoresTornFile(t *testing.T) {
	r := blockCache{dir: filepath.Join(t.TempDir(), "blocks"), node: "a", blocks: revisionFirst{}, boot: bootclock.Now}
	cidr := netip.MustParsePrefix("10.0.0.0/26")
	contentOf := func(rev string) []byte {
		r.Put(cidr, ipam.Row[block.Block]{Value: block.Block{CIDR: cidr}, Rev: rev})
		if _, ok := r.Get(cidr); !ok {
			t.Fatalf("revision %s is not remembered", rev)
		}
		data, err := os.ReadFile(r.path(cidr))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	before, after := contentOf("1"), contentOf("2")
	for cut := 1; cut < len(after); cut++ {
		torn := append(slices.Clone(after[:cut]), before[cut:]...)
		if slices.Equal(torn, before) || slices.Equal(torn, after) {
			continue
		}
		if err := os.WriteFile(r.path(cidr), torn, 0o600); err != nil {
			t.Fatal(err)
		}
		if row, ok := r.Get(cidr); ok {
			t.Errorf("cut at %d: revision %v is remembered of %q", cut, row.Rev, torn)
		}
	}
}

// revisionFirst has the revision in the first line, and in the second what the block holds by then.
type revisionFirst struct{}

func (revisionFirst) EncodeBlock(row ipam.Row[block.Block]) ([]byte, error) {
	return fmt.Appendf(nil, "%v\n%s\nholds %v\n", row.Rev, row.Value.CIDR, row.Rev), nil
}

func (revisionFirst) DecodeBlock(data []byte) (ipam.Row[block.Block], error) {
	var row ipam.Row[block.Block]
	var cidr, rev, holds string
	if _, err := fmt.Sscanf(string(data), "%s\n%s\nholds %s\n", &rev, &cidr, &holds); err != nil {
		return row, err
	}
	row.Rev = rev
	return row, row.Value.CIDR.UnmarshalText([]byte(cidr))
}

func TestBlockCacheRemovesOldFiles(t *testing.T) {
	clock := time.Hour
	r := blockCache{dir: filepath.Join(t.TempDir(), "blocks"), node: "a", blocks: plainCodec{}, boot: func() time.Duration { return clock }}
	old, young := netip.MustParsePrefix("10.0.0.0/26"), netip.MustParsePrefix("10.0.0.64/26")
	keep := func(cidr netip.Prefix) { r.Put(cidr, ipam.Row[block.Block]{Value: block.Block{CIDR: cidr}, Rev: "1"}) }
	keep(old)
	clock += 2 * keptFor
	keep(young)
	if err := os.WriteFile(filepath.Join(r.dir, "10.0.0.128_26.block"), []byte("of the release "+
		"before"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.update([]ipam.Assigned{{Block: young}}, always)
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, there := r.Get(young); !there || len(entries) != 2 || len(r.WithRoom()) != 1 {
		t.Errorf("young %t, files %v, with room %v", there, entries, r.WithRoom())
	}
}

// TestBlockCacheEntryExpires sets the wall clock nowhere: the age is that of the boot clock.
func TestBlockCacheEntryExpires(t *testing.T) {
	cidr := netip.MustParsePrefix("10.0.0.0/26")
	for _, c := range []struct {
		age  time.Duration
		want bool
	}{{0, true}, {recallWithin - 1, true}, {recallWithin, false}, {time.Hour, false}, {-1, false}, {-time.Hour, false}} {
		clock := 2 * time.Hour
		r := blockCache{dir: t.TempDir(), node: "a", blocks: plainCodec{}, boot: func() time.Duration { return clock }}
		r.update([]ipam.Assigned{{Block: cidr}}, always)
		r.Put(cidr, ipam.Row[block.Block]{Value: block.Block{CIDR: cidr}, Rev: "1"})
		// A file that was touched is no younger.
		future := time.Now().Add(time.Hour)
		if err := os.Chtimes(r.path(cidr), future, future); err != nil {
			t.Fatal(err)
		}
		clock += c.age
		if _, got := r.Get(cidr); got != c.want || len(r.WithRoom()) != 1 {
			t.Errorf("after %v: recalled %t, want %t; with room %v", c.age, got, c.want, r.WithRoom())
		}
	}
}

func TestBlockCacheSeparatesClusters(t *testing.T) {
	cidr := netip.MustParsePrefix("10.0.0.0/26")
	a := blockCache{dir: t.TempDir(), node: "n", cluster: "https://a:6443", blocks: plainCodec{}, boot: bootclock.Now}
	b := a
	b.cluster = "https://b:6443"
	a.update([]ipam.Assigned{{Block: cidr}}, always)
	a.Put(cidr, ipam.Row[block.Block]{Value: block.Block{CIDR: cidr}, Rev: "1"})
	if _, recalled := b.Get(cidr); recalled || b.WithRoom() != nil {
		t.Errorf("recalled %t, with room %v", recalled, b.WithRoom())
	}
	if _, recalled := a.Get(cidr); !recalled || len(a.WithRoom()) != 1 {
		t.Error("not recalled in its own cluster")
	}
}

// TestBlockCacheIgnoresOtherVersions puts what the release before wrote, and what a later one may, in today's places.
func TestBlockCacheIgnoresOtherVersions(t *testing.T) {
	cidr := netip.MustParsePrefix("10.0.0.0/26")
	r := blockCache{dir: t.TempDir(), node: "a", blocks: plainCodec{}, boot: bootclock.Now}
	r.Put(cidr, ipam.Row[block.Block]{Value: block.Block{CIDR: cidr}, Rev: "1"})
	r.update([]ipam.Assigned{{Block: cidr}}, always)
	today, err := os.ReadFile(r.path(cidr))
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join("testdata", "block-version-0"))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"version 0": before, "version 2": append([]byte("2"), today[1:]...)} {
		if err := os.WriteFile(r.path(cidr), data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, recalled := r.Get(cidr); recalled {
			t.Errorf("%s: recalled", name)
		}
	}
	if err := os.WriteFile(r.index(), []byte("# calico-cni blocks with room, version "+
		"2\n10.0.0.0/26\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := r.WithRoom(); got != nil {
		t.Errorf("with room: %v", got)
	}
}
