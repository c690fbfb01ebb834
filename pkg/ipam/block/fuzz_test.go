// SPDX-License-Identifier: Apache-2.0

package block

import (
	"net/netip"
	"testing"
)

// FuzzAnyBlock builds a block from arbitrary numbers. Either Validate rejects the block, or every operation keeps it
// valid.
func FuzzAnyBlock(f *testing.F) {
	f.Add([]byte{1, 1, 0, 255, 2}, []byte{0, 2}, 1, uint8(30))
	f.Add([]byte{255, 255, 255, 255}, []byte{0, 1, 2, 3}, 0, uint8(30))
	f.Add([]byte{}, []byte{}, 0, uint8(0))
	f.Fuzz(func(t *testing.T, allocations, queue []byte, attributes int, bits uint8) {
		b := Block{
			CIDR:       netip.PrefixFrom(netip.MustParseAddr("10.0.0.0"), int(bits)),
			Attributes: make([]Attribute, max(0, min(attributes, 300))),
		}
		for i := range b.Attributes {
			b.Attributes[i].Handle = string(rune('a' + i%3))
		}
		for _, a := range allocations {
			b.Allocations = append(b.Allocations, int(int8(a)))
		}
		for _, o := range queue {
			b.Unallocated = append(b.Unallocated, int(int8(o)))
		}
		if b.Validate() != nil {
			return
		}
		b.Assign(pod("x"), nil)
		for _, h := range b.Held("a") {
			if !b.Release("a", h, epoch, 0) {
				t.Fatalf("%v is held and cannot be released", h)
			}
		}
		b.Thaw(epoch, 0)
		if err := b.Validate(); err != nil {
			t.Fatal(err)
		}
		if u := b.Usage(); u.Free+u.Used+u.Cooling != len(b.Allocations) {
			t.Fatalf("usage %+v of %d addresses", u, len(b.Allocations))
		}
	})
}
