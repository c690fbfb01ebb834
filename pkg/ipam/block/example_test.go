// SPDX-License-Identifier: Apache-2.0

package block_test

import (
	"fmt"
	"net/netip"
	"time"

	"calico-cni/pkg/ipam/block"
)

// A block allocates its addresses in order. A released address goes to the end of the queue.
func ExampleBlock_Assign() {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	b := block.New(netip.MustParsePrefix("10.244.0.0/30"), "host:node-1", now)

	first, _ := b.Assign(block.Attribute{Handle: "net.a"}, nil)
	fmt.Println("net.a has", first.Addr)
	b.Release("net.a", first, now, 0)

	second, _ := b.Assign(block.Attribute{Handle: "net.b"}, nil)
	fmt.Println("net.b has", second.Addr)
	fmt.Printf("%+v\n", b.Usage())
	// Output:
	// net.a has 10.244.0.0
	// net.b has 10.244.0.1
	// {Free:3 Used:1 Cooling:0}
}

// A released address with a cooldown is not free until the cooldown is over.
func ExampleBlock_Thaw() {
	now, cooldown := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC), 30*time.Second
	b := block.New(netip.MustParsePrefix("10.244.0.0/32"), "host:node-1", now)
	held, _ := b.Assign(block.Attribute{Handle: "net.a"}, nil)
	b.Release("net.a", held, now, cooldown)

	fmt.Println("freed after 29 s:", b.Thaw(now.Add(29*time.Second), cooldown))
	fmt.Println("freed after 30 s:", b.Thaw(now.Add(30*time.Second), cooldown))
	// Output:
	// freed after 29 s: 0
	// freed after 30 s: 1
}

// AssignAddr allocates a specific address. The error for a taken address names its owner.
func ExampleBlock_AssignAddr() {
	b := block.New(netip.MustParsePrefix("10.244.0.0/30"), "host:node-1", time.Now())
	owner := map[string]string{"namespace": "default", "pod": "web-0"}
	_, _ = b.AssignAddr(netip.MustParseAddr("10.244.0.2"), block.Attribute{Handle: "net.a", Owner: owner})

	_, err := b.AssignAddr(netip.MustParseAddr("10.244.0.2"), block.Attribute{Handle: "net.b"})
	fmt.Println(err)
	// Output:
	// address is taken: 10.244.0.2 of block 10.244.0.0/30 is allocated to pod default/web-0 (handle net.a)
}
