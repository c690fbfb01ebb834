// SPDX-License-Identifier: Apache-2.0

package nodeipam

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"calico-cni/pkg/ipam"
)

func always(netip.Prefix) bool { return true }

// TestAffinityOfCachedBlockIsVerifiedAgain advances the boot clock between ADDs.
func TestAffinityOfCachedBlockIsVerifiedAgain(t *testing.T) {
	clock := 10 * time.Hour
	r := blockCache{dir: t.TempDir(), node: "a", boot: func() time.Duration { return clock }}
	four, both := []ipam.Want{{}}, []ipam.Want{{}, {IPv6: true}}
	assigned := []ipam.Assigned{{Block: netip.MustParsePrefix("10.0.0.0/26")}, {Block: netip.MustParsePrefix("fd00::/122")}}
	never := func(netip.Prefix) bool { return false }
	wantVerify := func(when string, wants []ipam.Want, want bool) {
		t.Helper()
		if blocks, verify := r.forAll(wants); len(blocks) != len(wants) || verify != want {
			t.Errorf("%s: blocks %v, verify %v, want %v", when, blocks, verify, want)
		}
	}
	r.update(assigned, always)
	wantVerify("right after", both, false)
	clock += verifyAfter - 1
	r.update(assigned, never)
	wantVerify("an ADD with cached blocks later", both, false)
	clock++
	wantVerify("after five minutes", both, true)
	r.update(assigned[:1], always)
	wantVerify("one family is verified", four, false)
	wantVerify("both families are wanted", both, true)
	r.update([]ipam.Assigned{{Block: netip.MustParsePrefix("10.0.0.64/26")}}, never)
	wantVerify("another block was not verified", four, true)
	r.update(assigned, always)
	clock = time.Hour
	wantVerify("the time lies in the future", four, true)
}

// TestIndexOfOlderPlugins reads an index without times, and checks that older plugins can read today's: they skip lines
// that are no CIDR.
func TestIndexOfOlderPlugins(t *testing.T) {
	r := blockCache{dir: t.TempDir(), node: "a", boot: func() time.Duration { return time.Hour }}
	if err := os.WriteFile(r.index(), []byte(indexHead+"\n10.0.0.0/26\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if blocks, verify := r.forAll([]ipam.Want{{}}); len(blocks) != 1 || !verify {
		t.Errorf("got %v, verify %v", blocks, verify)
	}
	r.update([]ipam.Assigned{{Block: netip.MustParsePrefix("10.0.0.0/26")}}, always)
	data, err := os.ReadFile(r.index())
	if err != nil {
		t.Fatal(err)
	}
	var cidrs []string
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n")[1:] {
		if cidr, err := netip.ParsePrefix(line); err == nil {
			cidrs = append(cidrs, cidr.String())
		}
	}
	if len(cidrs) != 1 || cidrs[0] != "10.0.0.0/26" {
		t.Errorf("older plugins read %v of\n%s", cidrs, data)
	}
}
