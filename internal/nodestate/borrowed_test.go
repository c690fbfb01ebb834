// SPDX-License-Identifier: Apache-2.0

package nodestate_test

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"

	"calico-cni/internal/nodestate"
)

func TestBorrowedBlockStaysIfBorrowedFromAgain(t *testing.T) {
	b := nodestate.Borrowed(filepath.Join(t.TempDir(), "lib", "borrowed"))
	list := func(want string) (blocks []nodestate.BorrowedBlock) {
		t.Helper()
		blocks, err := b.List()
		var got []netip.Prefix
		for _, block := range blocks {
			got = append(got, block.CIDR)
		}
		if err != nil || fmt.Sprint(got) != want {
			t.Errorf("borrowed %v, %v, want %s", got, err, want)
		}
		return blocks
	}
	add := func(cidr netip.Prefix) {
		t.Helper()
		if err := b.Add(cidr); err != nil {
			t.Fatal(err)
		}
	}
	list("[]")
	four, six := netip.MustParsePrefix("10.0.0.0/26"), netip.MustParsePrefix("fd00::40/122")
	for _, cidr := range []netip.Prefix{four, six, four} {
		add(cidr)
	}
	before := list("[10.0.0.0/26 fd00::40/122]")
	add(four)
	for _, block := range before {
		b.Remove(block)
	}
	for _, block := range list("[10.0.0.0/26]") {
		b.Remove(block)
	}
	list("[]")
}
