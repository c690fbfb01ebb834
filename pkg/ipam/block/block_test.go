// SPDX-License-Identifier: Apache-2.0

package block

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var epoch = time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)

var netipValues = cmpopts.EquateComparable(netip.Prefix{})

func pod(name string) Attribute {
	return Attribute{Handle: "net." + name, Owner: map[string]string{"pod": name, "namespace": "default"}}
}

func newBlock(t testing.TB, cidr string) Block {
	t.Helper()
	return New(netip.MustParsePrefix(cidr), "host:a", epoch)
}

func TestNewBlockIsFreeAndValid(t *testing.T) {
	for cidr, size := range map[string]int{
		"10.0.0.0/26": 64, "10.0.0.8/32": 1, "10.0.0.0/20": 4096, "fd00::40/122": 64, "fd00::1/128": 1, "fd00::/116": 4096,
	} {
		b := newBlock(t, cidr)
		if err := b.Validate(); err != nil {
			t.Errorf("%s: %v", cidr, err)
		}
		if got, want := b.Usage(), (Usage{Free: size}); got != want {
			t.Errorf("%s: usage %+v, want %+v", cidr, got, want)
		}
		if !b.Empty(epoch, 0) {
			t.Errorf("%s: a new block is not empty", cidr)
		}
	}
}

func TestOrdinalIsInverseOfAddr(t *testing.T) {
	cidrs := []string{"10.1.255.192/26", "10.0.16.0/20", "fd00:1::f000/116", "fd00::ffc0/122", "192.0.2.7/32"}
	for _, cidr := range cidrs {
		b := newBlock(t, cidr)
		addr := b.CIDR.Addr()
		for o := range b.Allocations {
			if got := b.Addr(o); got != addr {
				t.Fatalf("%s: address of ordinal %d is %s, want %s", cidr, o, got, addr)
			}
			if got, err := b.Ordinal(addr); err != nil || got != o {
				t.Fatalf("%s: ordinal of %s is %d, %v; want %d", cidr, addr, got, err, o)
			}
			addr = addr.Next()
		}
		if _, err := b.Ordinal(addr); !errors.Is(err, ErrOutside) {
			t.Errorf("%s: ordinal of %s: %v, want ErrOutside", cidr, addr, err)
		}
	}
}

func TestAssignTakesLongestFreeAddress(t *testing.T) {
	b := newBlock(t, "10.0.0.0/30")
	var order []string
	assign := func(name string) Holding {
		h, ok := b.Assign(pod(name), nil)
		if !ok {
			t.Fatalf("no address for %s", name)
		}
		order = append(order, h.Addr.String())
		return h
	}
	a, c := assign("a"), assign("b")
	b.Release("net.b", c, epoch, 0)
	b.Release("net.a", a, epoch, 0)
	for _, name := range []string{"c", "d", "e", "f"} {
		assign(name)
	}
	want := []string{"10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.1", "10.0.0.0"}
	if diff := cmp.Diff(want, order); diff != "" {
		t.Errorf("order of addresses (-want +got):\n%s", diff)
	}
	if _, ok := b.Assign(pod("g"), nil); ok {
		t.Error("a full block allocated an address")
	}
}

func TestAssignSkipsReservedAddressesAndKeepsQueue(t *testing.T) {
	b := newBlock(t, "10.0.0.0/30")
	reserved := func(a netip.Addr) bool { return a == b.Addr(0) }
	if h, ok := b.Assign(pod("a"), reserved); !ok || h.Addr != b.Addr(1) {
		t.Errorf("assigned %v, %v; want the second address", h.Addr, ok)
	}
	if diff := cmp.Diff([]int{0, 2, 3}, b.Unallocated); diff != "" {
		t.Errorf("queue (-want +got):\n%s", diff)
	}
}

func TestAssignAddrErrorNamesHolder(t *testing.T) {
	b := newBlock(t, "10.0.0.0/30")
	addr := b.Addr(2)
	if _, err := b.AssignAddr(addr, pod("a")); err != nil {
		t.Fatal(err)
	}
	_, err := b.AssignAddr(addr, pod("b"))
	if !errors.Is(err, ErrTaken) {
		t.Fatalf("got %v, want ErrTaken", err)
	}
	const want = "address is taken: 10.0.0.2 of block 10.0.0.0/30 is allocated to pod default/a (handle net.a)"
	if err.Error() != want {
		t.Errorf("got  %q\nwant %q", err, want)
	}
	if _, err := b.AssignAddr(netip.MustParseAddr("10.0.0.4"), pod("b")); !errors.Is(err, ErrOutside) {
		t.Errorf("got %v, want ErrOutside", err)
	}
}

func TestReleaseIgnoresStaleHolding(t *testing.T) {
	b := newBlock(t, "10.0.0.0/31")
	old, _ := b.Assign(pod("a"), nil)
	b.Sequence++
	b.Release("net.a", old, epoch, 0)
	b.Sequence++
	again, err := b.AssignAddr(old.Addr, pod("a"))
	if err != nil {
		t.Fatal(err)
	}
	before := b.Clone()
	for name, try := range map[string]struct {
		handle string
		h      Holding
	}{
		"older sequence": {"net.a", old},
		"other handle":   {"net.b", again},
		"free address":   {"net.a", Holding{Addr: b.Addr(1)}},
		"outside":        {"net.a", Holding{Addr: netip.MustParseAddr("10.9.9.9")}},
	} {
		if b.Release(try.handle, try.h, epoch, 0) {
			t.Errorf("%s: released", name)
		}
	}
	if diff := cmp.Diff(before, b, netipValues); diff != "" {
		t.Errorf("block changed (-before +after):\n%s", diff)
	}
	if !b.Release("net.a", again, epoch, 0) {
		t.Error("the current holding was not released")
	}
}

func TestSameHandleIgnoresTextAfterCarriageReturn(t *testing.T) {
	b := newBlock(t, "10.0.0.0/31")
	b.Assign(Attribute{Handle: "net.a\r\x00junk"}, nil)
	held := b.Held("net.a")
	if len(held) != 1 || !b.Release("net.a", held[0], epoch, 0) || !b.Empty(epoch, 0) {
		t.Errorf("held %v, block %+v", held, b)
	}
}

func TestBlockWithOnlyWindowsReservationsIsEmpty(t *testing.T) {
	b := newBlock(t, "10.0.0.0/29")
	for range 3 {
		b.Assign(Attribute{Handle: windowsReserved}, nil)
	}
	if !b.Empty(epoch, 0) {
		t.Error("not empty")
	}
	b.Assign(pod("a"), nil)
	if b.Empty(epoch, 0) {
		t.Error("empty with an allocated address")
	}
}

func TestCoolingAddressIsNeitherFreeNorHeld(t *testing.T) {
	const cooldown = 30 * time.Second
	b := newBlock(t, "10.0.0.0/31")
	first, _ := b.Assign(pod("a"), nil)
	second, _ := b.Assign(pod("a"), nil)
	b.Release("net.a", second, epoch, cooldown)
	b.Release("net.a", first, epoch.Add(time.Second), cooldown)

	if got, want := b.Usage(), (Usage{Cooling: 2}); got != want {
		t.Fatalf("usage %+v, want %+v", got, want)
	}
	if _, ok := b.Assign(pod("b"), nil); ok {
		t.Error("a cooling address was assigned")
	}
	if held := b.Held("net.a"); len(held) != 0 {
		t.Errorf("still held: %v", held)
	}
	if n := b.Thaw(epoch.Add(cooldown-1), cooldown); n != 0 {
		t.Errorf("%d addresses thawed too early", n)
	}
	if n := b.Thaw(epoch.Add(time.Hour), cooldown); n != 2 {
		t.Errorf("%d addresses thawed, want 2", n)
	}
	if diff := cmp.Diff([]int{1, 0}, b.Unallocated); diff != "" {
		t.Errorf("longest released is not first (-want +got):\n%s", diff)
	}
	if len(b.Attributes) != 0 {
		t.Errorf("attributes left: %v", b.Attributes)
	}
}

func TestAttributesAreSharedAndUnusedOnesDropped(t *testing.T) {
	b := newBlock(t, "10.0.0.0/29")
	a1, _ := b.Assign(pod("a"), nil)
	b1, _ := b.Assign(pod("b"), nil)
	a2, _ := b.Assign(pod("a"), nil)
	if got := fmt.Sprintf("%v %d", b.Allocations[:3], len(b.Attributes)); got != "[0 1 0] 2" {
		t.Errorf("allocations and attributes: %s", got)
	}
	b.Release("net.a", a1, epoch, 0)
	b.Release("net.a", a2, epoch, 0)
	got := fmt.Sprintf("%v %d %s", b.Allocations[:3], len(b.Attributes), b.Attributes[0].Handle)
	if got != "[-1 0 -1] 1 net.b" {
		t.Errorf("after the release: %s", got)
	}
	b.Release("net.b", b1, epoch, 0)
	if len(b.Attributes) != 0 || !b.Empty(epoch, 0) {
		t.Errorf("attributes left: %v", b.Attributes)
	}
}

func TestAttributesWithUnknownFieldsAreNeverMerged(t *testing.T) {
	b := newBlock(t, "10.0.0.0/30")
	strange := pod("a")
	strange.Unknown = map[string]json.RawMessage{"x": json.RawMessage("1")}
	b.Assign(strange, nil)
	b.Assign(pod("a"), nil)
	if len(b.Attributes) != 2 || string(b.Attributes[0].Unknown["x"]) != "1" {
		t.Errorf("attributes: %v", b.Attributes)
	}
}

func TestValidateRejectsMalformedBlocks(t *testing.T) {
	for name, harm := range map[string]func(*Block){
		"unmasked cidr":             func(b *Block) { b.CIDR = netip.MustParsePrefix("10.0.0.1/30") },
		"no cidr":                   func(b *Block) { b.CIDR = netip.Prefix{} },
		"too large":                 func(b *Block) { b.CIDR = netip.MustParsePrefix("10.0.0.0/8") },
		"missing allocation":        func(b *Block) { b.Allocations = b.Allocations[1:] },
		"attribute out of range":    func(b *Block) { b.Allocations[0] = 7 },
		"attribute negative":        func(b *Block) { b.Allocations[0] = -2 },
		"free ordinal not queued":   func(b *Block) { b.Unallocated = b.Unallocated[1:] },
		"free ordinal twice":        func(b *Block) { b.Unallocated = append(b.Unallocated, b.Unallocated[0]) },
		"free ordinal out of range": func(b *Block) { b.Unallocated = append(b.Unallocated, 4) },
		"free ordinal negative":     func(b *Block) { b.Unallocated = append(b.Unallocated, -1) },
		"allocated and queued":      func(b *Block) { b.Unallocated = append(b.Unallocated, 0) },
	} {
		b := newBlock(t, "10.0.0.0/30")
		b.Assign(pod("a"), nil)
		if err := b.Validate(); err != nil {
			t.Fatalf("%s: a valid block was rejected: %v", name, err)
		}
		harm(&b)
		if err := b.Validate(); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %v, want ErrMalformed", name, err)
		}
	}
}

func TestCloneSharesNothing(t *testing.T) {
	b := newBlock(t, "10.0.0.0/30")
	b.Assign(pod("a"), nil)
	c, before := b.Clone(), b.Clone()
	c.Assign(pod("b"), nil)
	c.Attributes[0].Owner["pod"] = "x"
	c.SequenceAt[0] = 1
	if diff := cmp.Diff(before, b, netipValues); diff != "" {
		t.Errorf("the original changed:\n%s", diff)
	}
}
