// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/pool"
	"calico-cni/pkg/selector"
)

func TestFirstAssignmentClaimsBlockAndNextUsesIt(t *testing.T) {
	s := newStore()
	first, second := mustAssign(t, s, dual("a", "net.1")), mustAssign(t, s, dual("a", "net.2"))
	if first != "10.0.0.0 fd00::" || second != "10.0.0.1 fd00::1" {
		t.Errorf("addresses %q, %q", first, second)
	}
	wantStore(t, s, `
		affinity a 10.0.0.0/30 confirmed
		affinity a fd00::/126 confirmed
		block 10.0.0.0/30 of host:a: 2 free, 2 used, 0 cooling; 10.0.0.0 net.1; 10.0.0.1 net.2
		block fd00::/126 of host:a: 2 free, 2 used, 0 cooling; fd00:: net.1; fd00::1 net.2
		handle net.1: 1 in 10.0.0.0/30, 1 in fd00::/126
		handle net.2: 1 in 10.0.0.0/30, 1 in fd00::/126`)
}

func TestReleaseFreesAddressesAndDeletesHandle(t *testing.T) {
	s := newStore()
	mustAssign(t, s, dual("a", "net.1"))
	for range 2 {
		mustRelease(t, s, "net.1")
		wantStore(t, s, `
			affinity a 10.0.0.0/30 confirmed
			affinity a fd00::/126 confirmed
			block 10.0.0.0/30 of host:a: 4 free, 0 used, 0 cooling
			block fd00::/126 of host:a: 4 free, 0 used, 0 cooling`)
	}
}

func TestNodesShareNoBlockAndFullPoolIsReported(t *testing.T) {
	s := newStore()
	seen := map[string]bool{}
	for _, node := range []string{"a", "b"} {
		for i := range 8 {
			addr := mustAssign(t, s, only4(node, fmt.Sprintf("net.%s%d", node, i)))
			if seen[addr] {
				t.Fatalf("%s was allocated twice", addr)
			}
			seen[addr] = true
		}
	}
	before := s.String()
	_, err := assign(s, only4("c", "net.late"))
	var none *ipam.NoAddressError
	if !errors.As(err, &none) || !errors.Is(err, ipam.ErrNoAddress) {
		t.Fatalf("got %v, want a NoAddressError", err)
	}
	const want = "assign IPv4 address: no address available: " +
		"v4: all 4 blocks of 10.0.0.0/28 are in use: 4 taken (free addresses, or add an IPPool)"
	if err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
	if after := s.String(); after != before {
		t.Errorf("the refused request changed the store:\n%s", cmp.Diff(before, after))
	}
}

func TestDualStackIsAllOrNothing(t *testing.T) {
	s := newStore()
	for i := range 16 {
		mustAssign(t, s, ipam.Request{Node: "b", Handle: fmt.Sprint("net.", i), Wants: []ipam.Want{{IPv6: true}}})
	}
	_, err := assign(s, dual("a", "net.victim"))
	if !errors.Is(err, ipam.ErrNoAddress) || !strings.Contains(err.Error(), "IPv6") {
		t.Errorf("got %v, want no IPv6 address", err)
	}
	if strings.Contains(s.String(), "victim") {
		t.Errorf("the request left something:\n%s", s)
	}
}

func TestNoAddressErrorReportsEachPool(t *testing.T) {
	s := newStore()
	s.Labels = map[string]string{"zone": "west"}
	east, err := selector.Parse("zone == 'east'")
	if err != nil {
		t.Fatal(err)
	}
	cidr := func(p string) netip.Prefix { return netip.MustParsePrefix(p) }
	s.IPPools = []pool.Pool{
		{Name: "off", CIDR: cidr("10.1.0.0/24"), BlockSize: 26, Disabled: true},
		{Name: "going", CIDR: cidr("10.2.0.0/24"), BlockSize: 26, Deleting: true},
		{Name: "manual", CIDR: cidr("10.3.0.0/24"), BlockSize: 26, Manual: true},
		{Name: "lb", CIDR: cidr("10.4.0.0/24"), BlockSize: 26, Uses: []pool.Use{pool.LoadBalancer}},
		{Name: "east", CIDR: cidr("10.5.0.0/24"), BlockSize: 26, Node: east},
		{Name: "tenant", CIDR: cidr("10.6.0.0/24"), BlockSize: 26, Namespace: east},
		{Name: "six", CIDR: cidr("fd00::/112"), BlockSize: 122},
	}
	_, err = assign(s, only4("a", "net.1"))
	for _, want := range []string{
		"off: disabled", "going: being deleted", "manual: serves only requests that name it",
		"lb: is for LoadBalancer, not for Workload", `does not match the node's labels {zone=west}`,
		`does not match the namespace's labels {}`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error does not say %q: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "six") {
		t.Errorf("the error names a pool of the other IP family: %v", err)
	}
	s.IPPools = nil
	_, err = assign(s, only4("a", "net.1"))
	if !errors.Is(err, ipam.ErrNoAddress) || !strings.Contains(err.Error(), "there is no IPv4 pool") {
		t.Errorf("got %v", err)
	}
}

func TestReservedAddressesAreAllocatedOnlyOnRequest(t *testing.T) {
	s := newStore()
	for _, cidr := range []string{"10.0.0.8/30", "10.0.0.0/31", "10.0.0.4/32"} {
		s.Reserved = append(s.Reserved, netip.MustParsePrefix(cidr))
	}
	got := map[string]bool{}
	for i := range 9 {
		got[mustAssign(t, s, only4("a", fmt.Sprint("net.", i)))] = true
	}
	for _, reserved := range strings.Fields("10.0.0.0 10.0.0.1 10.0.0.4 10.0.0.8 10.0.0.9 10.0.0.10 10.0.0.11") {
		if got[reserved] {
			t.Errorf("reserved %s was allocated", reserved)
		}
	}
	if _, err := assign(s, only4("a", "net.late")); !errors.Is(err, ipam.ErrNoAddress) {
		t.Errorf("got %v, want ErrNoAddress", err)
	}
	want := only4("a", "net.asked")
	want.Wants[0].Addr = netip.MustParseAddr("10.0.0.9")
	if addr := mustAssign(t, s, want); addr != "10.0.0.9" {
		t.Errorf("requested the reserved address 10.0.0.9, got %s", addr)
	}
}

func TestRequestedAddressIsAllocatedOnceAndOnlyFromPool(t *testing.T) {
	s := newStore()
	ask := func(handle, addr string) error {
		r := only4("a", handle)
		r.Wants[0].Addr = netip.MustParseAddr(addr)
		_, err := assign(s, r)
		return err
	}
	if err := ask("net.1", "10.0.0.6"); err != nil {
		t.Fatal(err)
	}
	if err := ask("net.2", "10.0.0.6"); !errors.Is(err, ipam.ErrAddrTaken) {
		t.Errorf("taken: got %v", err)
	}
	if err := ask("net.3", "192.0.2.1"); !errors.Is(err, pool.ErrUnknownPool) {
		t.Errorf("outside every pool: got %v", err)
	}
	wantStore(t, s, `
		affinity a 10.0.0.4/30 confirmed
		block 10.0.0.4/30 of host:a: 3 free, 1 used, 0 cooling; 10.0.0.6 net.1
		handle net.1: 1 in 10.0.0.4/30`)
}

// TestStrictAffinityForbidsBorrowingRequestedAddress requests a free address of another node's block.
func TestStrictAffinityForbidsBorrowingRequestedAddress(t *testing.T) {
	s := newStore()
	s.Settings.StrictAffinity = true
	r := only4("b", "net.1")
	r.Wants[0].Addr = netip.MustParseAddr("10.0.0.5")
	mustAssign(t, s, r)
	before := s.String()
	r = only4("a", "net.2")
	r.Wants[0].Addr = netip.MustParseAddr("10.0.0.6")
	_, err := assign(s, r)
	if !errors.Is(err, ipam.ErrBorrowForbidden) || errors.Is(err, ipam.ErrAddrTaken) || containsText(err, "taken") {
		t.Errorf("got %v, want ErrBorrowForbidden", err)
	}
	if s.String() != before {
		t.Errorf("the store changed from\n%s\nto\n%s", before, s)
	}
}

func TestBlockLimitsAreEnforcedAndReported(t *testing.T) {
	for name, c := range map[string]struct {
		set  func(*ipam.Config)
		want string
	}{
		"max blocks":       {func(c *ipam.Config) { c.MaxBlocksPerHost = 1 }, "maxBlocksPerHost is 1"},
		"no auto allocate": {func(c *ipam.Config) { c.AutoAllocateBlocks = false }, "autoAllocateBlocks is off"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore()
			mustAssign(t, s, only4("a", "net.0"))
			c.set(&s.Settings)
			for i := range 3 {
				mustAssign(t, s, only4("a", fmt.Sprint("net.1", i)))
			}
			_, err := assign(s, only4("a", "net.late"))
			if !errors.Is(err, ipam.ErrNoAddress) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want it to say %q", err, c.want)
			}
			if strings.Contains(s.String(), "late") || countBlocks(s) != 1 {
				t.Errorf("store:\n%s", s)
			}
		})
	}
}

func TestLockedDatastoreIsNotChanged(t *testing.T) {
	s := newStore()
	s.Locked = true
	if _, err := assign(s, only4("a", "net.1")); !errors.Is(err, ipam.ErrNotReady) {
		t.Errorf("got %v, want ErrNotReady", err)
	}
	wantStore(t, s, "")
}
