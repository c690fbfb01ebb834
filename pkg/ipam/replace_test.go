// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"calico-cni/pkg/ipam"
)

// TestEmptyBlocksOfOtherSizeAreTakenOver fills a pool whose blocks all have another size. Node a gets an address if
// all blocks that overlap one of the pool's are empty, belong to other nodes, and were claimed a minute ago.
func TestEmptyBlocksOfOtherSizeAreTakenOver(t *testing.T) {
	for name, c := range map[string]struct {
		blockSize int
		blocks    []obstacle
		early     bool
		malformed string
		want      bool
	}{
		"larger blocks":        {blockSize: 30, blocks: []obstacle{{"10.0.0.0/29", 0}}, want: true},
		"smaller blocks":       {blockSize: 29, blocks: []obstacle{{"10.0.0.0/30", 0}, {"10.0.0.4/30", 0}}, want: true},
		"larger than the pool": {blockSize: 30, blocks: []obstacle{{"10.0.0.0/28", 0}}, want: true},
		"one of two is in use": {blockSize: 29, blocks: []obstacle{{"10.0.0.0/30", 0}, {"10.0.0.4/30", 1}}},
		"claimed a moment ago": {blockSize: 30, blocks: []obstacle{{"10.0.0.0/29", 0}}, early: true},
		"one of two malformed": {
			blockSize: 29, blocks: []obstacle{{"10.0.0.0/30", 0}, {"10.0.0.4/30", 0}}, malformed: "10.0.0.4/30",
		},
		"in use, second is free": {blockSize: 31, blocks: []obstacle{{"10.0.0.0/30", 4}, {"10.0.0.4/30", 0}}, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore()
			s.Settings.StrictAffinity = true
			s.IPPools = s.IPPools[:1]
			s.IPPools[0].CIDR, s.IPPools[0].BlockSize = netip.MustParsePrefix("10.0.0.0/29"), c.blockSize
			for _, b := range c.blocks {
				put(t, s, "gone", b.cidr, b.used)
			}
			now := s.Now
			if !c.early {
				now = func() time.Time { return s.Now().Add(2 * time.Minute) }
			}
			a := &ipam.Allocator{Store: s, Now: now, Parallel: 1}
			if c.malformed != "" {
				a.Store = malformedBlock{s, netip.MustParsePrefix(c.malformed)}
			}
			before := len(s.AllBlocks())
			room := room(t, s, a)
			got, err := assignWith(a, only4("a", "net.x"))
			if ok := err == nil; ok != c.want || err != nil && !errors.Is(err, ipam.ErrNoAddress) {
				t.Fatalf("assigned %v, %v; want an address: %v\n%s", got, err, c.want, s)
			}
			if (room == nil) != c.want {
				t.Errorf("room: %v", room)
			}
			if !c.want && len(s.AllBlocks()) != before {
				t.Errorf("a block was released although no address was allocated\n%s", s)
			}
			unique(t, s)
		})
	}
}

// room returns the answer of Allocator.Room for node a.
func room(t *testing.T, s ipam.Cluster, a *ipam.Allocator) error {
	t.Helper()
	view, err := a.Gather(context.Background(), s, "a", nil, false)
	if err != nil {
		t.Fatal(err)
	}
	return a.Room(context.Background(), view, only4("a", "net.x"))
}
