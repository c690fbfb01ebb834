package ipamplugin

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"calico-cni/pkg/ipam"
)

func TestANodeRemembersTheBlockOfEachFamilyThatHasMoreToGive(t *testing.T) {
	r := remembered{dir: filepath.Join(t.TempDir(), "run", "blocks"), node: "a"}
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
