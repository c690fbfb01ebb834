// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/memstore"
	"calico-cni/pkg/ipam/pool"
)

// A node allocates an address for a pod, as in an ADD, and releases it, as in a DEL.
func ExampleAllocator() {
	ctx := context.Background()
	store := memstore.New(time.Now)
	store.IPPools = []pool.Pool{{Name: "default", CIDR: netip.MustParsePrefix("10.244.0.0/26"), BlockSize: 26}}
	allocator := &ipam.Allocator{Store: store, Now: time.Now, Wait: ipam.Backoff(ipam.Sleep, rand.Int64N)}

	view, err := allocator.Gather(ctx, store, "node-1", nil, false)
	if err != nil {
		fmt.Println(err)
		return
	}
	assigned, err := allocator.Assign(ctx, view, ipam.Request{
		Node:   "node-1",
		Handle: "k8s-pod-network.4f0c1b",
		Owner:  map[string]string{"pod": "web-0", "namespace": "default", "timestamp": time.Now().String()},
		Wants:  []ipam.Want{{IPv6: false}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("assigned", assigned[0].Addr, "from", assigned[0].Block)

	handle, err := allocator.Lookup(ctx, "k8s-pod-network.4f0c1b")
	if err != nil {
		fmt.Println(err)
		return
	}
	released, err := allocator.Release(ctx, handle, nil, view.Config.Cooldown)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("released", released.Addrs)
	// Output:
	// assigned 10.244.0.0 from 10.244.0.0/26
	// released [10.244.0.0]
}

// Room returns the error that Assign would return, without allocating an address.
func ExampleAllocator_Room() {
	ctx := context.Background()
	store := memstore.New(time.Now)
	store.IPPools = []pool.Pool{
		{Name: "default", CIDR: netip.MustParsePrefix("10.244.0.0/26"), BlockSize: 26, Disabled: true},
	}
	allocator := &ipam.Allocator{Store: store, Now: time.Now}
	view, err := allocator.Gather(ctx, store, "node-1", nil, false)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(allocator.Room(ctx, view, ipam.Request{Node: "node-1", Wants: []ipam.Want{{}}}))
	// Output:
	// assign IPv4 address: no address available: default: disabled (set disabled to false in the IPPool)
}
