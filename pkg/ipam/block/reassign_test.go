// SPDX-License-Identifier: Apache-2.0

package block

import (
	"net/netip"
	"testing"
)

func TestReassign(t *testing.T) {
	b := New(netip.MustParsePrefix("10.0.0.0/31"), "host:a", epoch)
	owner := func(stamp string) Attribute {
		return Attribute{Handle: "net.x", Owner: map[string]string{"timestamp": stamp}}
	}
	first, ok := b.Assign(owner("1"), nil)
	if !ok {
		t.Fatal("not assigned")
	}
	b.Sequence++
	second, ok := b.Reassign(first, owner("2"))
	if got, _ := b.Holder(first.Addr); !ok || second.Addr != first.Addr || got.Owner["timestamp"] != "2" {
		t.Fatalf("got %v, %v, owner %v", second, ok, got)
	}
	if len(b.Attributes) != 1 || b.Validate() != nil {
		t.Errorf("attributes %v, %v", b.Attributes, b.Validate())
	}
	b.Sequence++
	for name, stale := range map[string]Holding{
		"the holding from before": first,
		"another address":         {Addr: first.Addr.Next(), Sequence: second.Sequence},
		"outside":                 {Addr: netip.MustParseAddr("10.0.0.9"), Sequence: second.Sequence},
	} {
		if _, ok := b.Reassign(stale, owner("3")); ok {
			t.Errorf("reassigned %s", name)
		}
	}
	other := owner("3")
	other.Handle = "net.y"
	if _, ok := b.Reassign(second, other); ok {
		t.Error("reassigned to another handle")
	}
	if !b.Release("net.x", second, epoch, 0) {
		t.Error("the new holding is stale")
	}
}
