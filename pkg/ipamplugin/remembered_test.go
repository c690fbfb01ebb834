package ipamplugin

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
)

func TestANodeRemembersTheBlockOfEachFamilyThatHasMoreToGive(t *testing.T) {
	r := remembered{dir: filepath.Join(t.TempDir(), "run", "blocks"), node: "a", now: time.Now}
	from := func(block string) ipam.Assigned { return ipam.Assigned{Block: netip.MustParsePrefix(block)} }
	last, borrowed, again := from("10.0.0.64/26"), from("10.0.1.0/26"), from("10.0.2.0/26")
	last.Last, borrowed.Borrowed, again.Again = true, true, true
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
			r.update(step.assigned)
		}
		got := fmt.Sprint(r.forAll(four)) + " " + fmt.Sprint(r.forAll(dual))
		if diff := cmp.Diff(step.four+" "+step.dual, got); diff != "" {
			t.Errorf("after %s (-want +got):\n%s", step.what, diff)
		}
		if other := (remembered{dir: r.dir, node: "b"}); other.forAll(four) != nil {
			t.Errorf("after %s: another node remembers it, too", step.what)
		}
	}
}

func TestLendersAreRememberedUntilNothingIsBorrowedAnyMore(t *testing.T) {
	b := borrowed(filepath.Join(t.TempDir(), "lib", "borrowed"))
	list := func(want string) {
		t.Helper()
		got, err := b.list()
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
	b.forget(four, time.Now().Add(-time.Hour))
	list("[10.0.0.0/26 fd00::40/122]")
	b.forget(four, time.Now().Add(time.Hour))
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

func TestANodeRemembersABlockAsItWasLastWritten(t *testing.T) {
	r := remembered{dir: filepath.Join(t.TempDir(), "run", "blocks"), blocks: plainCodec{}}
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
		{"a renewal of what was not remembered", func() { r.Renew(first, row(first, "1")) }, "no no"},
		{"one was kept", func() { r.Keep(first, row(first, "2")) }, "2 no"},
		{"one was renewed", func() { r.Renew(first, row(first, "3")) }, "3 no"},
		{"another was kept", func() { r.Keep(second, row(second, "4")) }, "3 4"},
		{"one was written by halves", func() { r.Keep(second, row(second, "")) }, "3 no"},
		{"a file has another block's content", func() { r.Keep(second, row(first, "5")) }, "3 no"},
		{"one was forgotten", func() { r.Forget(first) }, "no no"},
	} {
		step.do()
		var got []string
		for _, cidr := range []netip.Prefix{first, second} {
			if row, ok := r.Recall(cidr); ok {
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

// TestABlockThatIsHalfOfOneRevisionAndHalfOfAnotherIsNotRemembered has the front of one content, and its revision, before the
// rest of another, which is what a kill or two writers at once leave of two that are as long. It reads like a block.
func TestABlockThatIsHalfOfOneRevisionAndHalfOfAnotherIsNotRemembered(t *testing.T) {
	r := remembered{dir: filepath.Join(t.TempDir(), "blocks"), node: "a", blocks: revisionFirst{}, now: time.Now}
	cidr := netip.MustParsePrefix("10.0.0.0/26")
	contentOf := func(rev string) []byte {
		r.Keep(cidr, ipam.Row[block.Block]{Value: block.Block{CIDR: cidr}, Rev: rev})
		if _, ok := r.Recall(cidr); !ok {
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
		if row, ok := r.Recall(cidr); ok {
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

func TestBlocksThatWereNotWrittenForLongAreForgotten(t *testing.T) {
	r := remembered{dir: filepath.Join(t.TempDir(), "blocks"), node: "a", blocks: plainCodec{}, now: time.Now}
	old, young := netip.MustParsePrefix("10.0.0.0/26"), netip.MustParsePrefix("10.0.0.64/26")
	for _, cidr := range []netip.Prefix{old, young} {
		r.Keep(cidr, ipam.Row[block.Block]{Value: block.Block{CIDR: cidr}, Rev: "1"})
	}
	past := time.Now().Add(-2 * longUnused)
	if err := os.Chtimes(r.path(old), past, past); err != nil {
		t.Fatal(err)
	}
	r.update([]ipam.Assigned{{Block: young}})
	_, oldThere := r.Recall(old)
	_, youngThere := r.Recall(young)
	if oldThere || !youngThere || len(r.Roomy()) != 1 {
		t.Errorf("remembered: old %v, young %v, with room %v", oldThere, youngThere, r.Roomy())
	}
}
