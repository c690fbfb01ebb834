// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/pool"
)

// obstacle is a block of another writer, with its number of addresses in use.
type obstacle struct {
	cidr string
	used int
}

// TestFullPoolErrorNamesCause fills the pool 10.0.0.0/28, which has 4 blocks, in different ways. The numbers of blocks
// in the message add up to 4.
func TestFullPoolErrorNamesCause(t *testing.T) {
	const podsRemedy, nodeRemedy = "delete the pods of blocks", "if that node does not exist, delete the IPAMBlock"
	for name, c := range map[string]struct {
		blocks           []obstacle
		malformed, inner string
		reserved         []string
		want             []string
		not              []string
	}{
		"taken": {
			blocks: []obstacle{{"10.0.0.0/30", 4}, {"10.0.0.4/30", 4}, {"10.0.0.8/30", 4}, {"10.0.0.12/30", 4}},
			want:   []string{"4 taken (free addresses, or add an IPPool)"}, not: []string{"reserved", "overlap"},
		},
		"overlapped by a used block": {
			blocks: []obstacle{{"10.0.0.0/28", 16}},
			want:   []string{"4 overlapped", podsRemedy}, not: []string{"taken", nodeRemedy},
		},
		"overlapped by an empty block": {
			blocks: []obstacle{{"10.0.0.0/28", 0}}, want: []string{"4 overlapped", "of host:b", nodeRemedy},
			not: []string{"taken", podsRemedy},
		},
		"overlapped by an empty and a used block": {
			blocks: []obstacle{{"10.0.0.0/29", 0}, {"10.0.0.8/29", 8}}, want: []string{"4 overlapped"},
		},
		"overlapped by a malformed block": {
			blocks: []obstacle{{"10.0.0.0/28", 0}}, malformed: "10.0.0.0/28",
			want: []string{"4 overlapped", "10.0.0.0/28, which cannot be read: malformed row: IPAMBlock of 10.0.0.0/28"},
			not:  []string{podsRemedy, nodeRemedy},
		},
		"malformed block of the pool's size": {
			blocks:    []obstacle{{"10.0.0.0/30", 4}, {"10.0.0.4/30", 0}, {"10.0.0.8/29", 8}},
			malformed: "10.0.0.4/30",
			want: []string{
				"1 taken, 1 malformed, 2 overlapped", "repair the malformed blocks",
				"block 10.0.0.4/30 cannot be read: malformed row: IPAMBlock of 10.0.0.4/30",
			},
		},
		"malformed block that another overlaps": {
			blocks:    []obstacle{{"10.0.0.4/30", 0}, {"10.0.0.0/28", 16}},
			malformed: "10.0.0.4/30", want: []string{"4 overlapped"}, not: []string{"1 malformed"},
		},
		"reserved, and in another pool": {
			blocks: []obstacle{{"10.0.0.0/30", 4}}, reserved: []string{"10.0.0.4/30"}, inner: "10.0.0.8/29",
			want: []string{"1 taken, 1 reserved, 2 in other pools", "shrink an IPReservation"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore()
			s.Settings.StrictAffinity = true
			s.IPPools = s.IPPools[:1]
			s.IPPools[0].CIDR, s.IPPools[0].BlockSize = netip.MustParsePrefix("10.0.0.0/28"), 30
			for _, b := range c.blocks {
				put(t, s, "b", b.cidr, b.used)
			}
			for _, cidr := range c.reserved {
				s.Reserved = append(s.Reserved, netip.MustParsePrefix(cidr))
			}
			if c.inner != "" {
				in := pool.Pool{Name: "inner", CIDR: netip.MustParsePrefix(c.inner), BlockSize: 30, Manual: true}
				s.IPPools = append(s.IPPools, in)
			}
			a := &ipam.Allocator{Store: s, Now: s.Now, Parallel: 1}
			if c.malformed != "" {
				a.Store = malformedBlock{s, netip.MustParsePrefix(c.malformed)}
			}
			got, err := assignWith(a, only4("a", "net.x"))
			if err == nil {
				t.Fatalf("assigned %v", got)
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q is not in: %v", part, err)
				}
			}
			for _, part := range c.not {
				if strings.Contains(err.Error(), part) {
					t.Errorf("%q belongs to another cause: %v", part, err)
				}
			}
			if sum := sumOfBlocks(t, err.Error()); sum != 4 {
				t.Errorf("the numbers add up to %d: %v", sum, err)
			}
		})
	}
}

var counts = regexp.MustCompile(`blocks of \S+ are in use: ([^(]*)`)

func sumOfBlocks(t *testing.T, msg string) (sum int) {
	t.Helper()
	found := counts.FindStringSubmatch(msg)
	if found == nil {
		t.Fatalf("no numbers of blocks in: %s", msg)
	}
	for _, part := range strings.Split(found[1], ", ") {
		n, _, _ := strings.Cut(part, " ")
		count, err := strconv.Atoi(n)
		if err != nil {
			t.Fatal(fmt.Errorf("%q: %w", part, err))
		}
		sum += count
	}
	return sum
}
