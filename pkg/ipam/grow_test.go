// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/memstore"
	"calico-cni/pkg/ipam/pool"
)

// fill assigns n addresses to a node.
func fill(t testing.TB, s *memstore.Store, node string, n int) {
	t.Helper()
	for i := range n {
		mustAssign(t, s, only4(node, fmt.Sprintf("net.%s-%d", node, i)))
	}
}

func TestNodeBorrowsIfNoBlockIsFree(t *testing.T) {
	for name, limit := range map[string]func(*memstore.Store){
		"no block is free":     func(*memstore.Store) {},
		"node is at its limit": func(s *memstore.Store) { s.Settings.MaxBlocksPerHost = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore()
			for _, node := range []string{"b", "c", "d"} {
				fill(t, s, node, 1)
			}
			limit(s)
			fill(t, s, "a", 4)
			before := countBlocks(s)
			addr := netip.MustParseAddr(mustAssign(t, s, only4("a", "net.borrower")))
			if countBlocks(s) != before || !strings.Contains(s.String(), "net.borrower") {
				t.Fatalf("no address was borrowed:\n%s", s)
			}
			lender := ""
			for _, line := range strings.Split(s.String(), "\n") {
				if strings.HasPrefix(line, "block ") && strings.Contains(line, addr.String()+" net.borrower") {
					lender = line
				}
			}
			if lender == "" || strings.Contains(lender, "host:a") {
				t.Errorf("%s is from %q, want from another node's block", addr, lender)
			}
			mustRelease(t, s, "net.borrower")
			if strings.Contains(s.String(), "borrower") || len(s.Check()) > 0 {
				t.Errorf("after the release: %v\n%s", s.Check(), s)
			}
		})
	}
}

func TestStrictAffinityForbidsBorrowingAndIsReported(t *testing.T) {
	s := newStore()
	for _, node := range []string{"b", "c", "d"} {
		fill(t, s, node, 1)
	}
	fill(t, s, "a", 4)
	s.Settings.StrictAffinity = true
	before := s.String()
	_, err := assign(s, only4("a", "net.late"))
	const want = "9 addresses are free in blocks of other nodes, " +
		"but IPAMConfig.strictAffinity forbids borrowing them (set it to false)"
	if !errors.Is(err, ipam.ErrNoAddress) || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v", err)
	}
	if s.String() != before {
		t.Errorf("the store changed:\n%s", cmp.Diff(before, s.String()))
	}
}

func TestIdleBlockOfOtherNodeIsTakenOver(t *testing.T) {
	for _, strict := range []bool{false, true} {
		s := newStore()
		now := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
		s.Now = func() time.Time { return now }
		s.Settings.StrictAffinity = strict
		for _, node := range []string{"b", "c", "d"} {
			fill(t, s, node, 1)
		}
		fill(t, s, "a", 4)
		mustRelease(t, s, "net.c-0")
		now = now.Add(30 * time.Second)
		if _, err := assign(s, only4("a", "net.early")); strict != (err != nil) {
			t.Fatalf("strict %v, block of c claimed 30 s ago: %v", strict, err)
		}
		mustRelease(t, s, "net.early")
		now = now.Add(31 * time.Second)
		mustAssign(t, s, only4("a", "net.late"))
		text := s.String()
		if strings.Contains(text, "affinity c ") || strings.Contains(text, "host:c") ||
			strings.Count(text, "affinity a ") != 2 || countBlocks(s) != 4 {
			t.Errorf("strict %v: the idle block was not taken over:\n%s", strict, text)
		}
		if bad := s.Check(); len(bad) > 0 {
			t.Error(bad)
		}
		// The former owner gets a borrowed address or none. The block never has two owners.
		_, _ = assign(s, only4("c", "net.back"))
		if bad := s.Check(); len(bad) > 0 {
			t.Error(bad)
		}
	}
}

func TestOnlyFreeBlockOfReservedPoolIsFound(t *testing.T) {
	s := newStore()
	s.IPPools = []pool.Pool{{Name: "wide", CIDR: netip.MustParsePrefix("10.128.0.0/14"), BlockSize: 26}}
	// All blocks except 10.130.7.64/26 are reserved.
	for rest, free := s.IPPools[0].CIDR, netip.MustParsePrefix("10.130.7.64/26"); rest.Bits() < 26; {
		low := netip.PrefixFrom(rest.Addr(), rest.Bits()+1)
		bytes := rest.Addr().As4()
		bytes[rest.Bits()/8] |= 1 << (7 - rest.Bits()%8)
		high := netip.PrefixFrom(netip.AddrFrom4(bytes), rest.Bits()+1)
		if high.Contains(free.Addr()) {
			rest, s.Reserved = high, append(s.Reserved, low)
		} else {
			rest, s.Reserved = low, append(s.Reserved, high)
		}
	}
	for _, node := range []string{"a", "b", "c"} {
		if addr := mustAssign(t, s, only4(node, "net."+node)); !strings.HasPrefix(addr, "10.130.7.") {
			t.Errorf("%s got %s", node, addr)
		}
	}
}

func TestReleasedAddressIsAllocatedAgainAfterCooldown(t *testing.T) {
	s := newStore()
	now := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	s.Now = func() time.Time { return now }
	s.IPPools = []pool.Pool{{Name: "one", CIDR: netip.MustParsePrefix("10.0.0.0/32"), BlockSize: 32}}
	s.Settings.Cooldown = 30 * time.Second
	mustAssign(t, s, only4("a", "net.first"))
	alloc := &ipam.Allocator{Store: s, Now: s.Now}
	h, err := alloc.Lookup(context.Background(), "net.first")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := alloc.Release(context.Background(), h, nil, s.Settings.Cooldown); err != nil {
		t.Fatal(err)
	}
	wantStore(t, s, `
		affinity a 10.0.0.0/32 confirmed
		block 10.0.0.0/32 of host:a: 0 free, 0 used, 1 cooling`)
	now = now.Add(29 * time.Second)
	if _, err := assign(s, only4("a", "net.early")); !errors.Is(err, ipam.ErrNoAddress) {
		t.Errorf("a cooling address: got %v", err)
	}
	now = now.Add(time.Second)
	if addr := mustAssign(t, s, only4("a", "net.late")); addr != "10.0.0.0" {
		t.Errorf("got %s", addr)
	}
}
