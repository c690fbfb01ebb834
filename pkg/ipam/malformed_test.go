// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/ipam/memstore"
)

// malformedBlock is a store in which one block is malformed. Like crdstore, it returns the fields that it could read.
type malformedBlock struct {
	*memstore.Store
	cidr netip.Prefix
}

func (m malformedBlock) Blocks() ipam.Table[netip.Prefix, block.Block] {
	return malformedBlocks{m.Store.Blocks(), m.cidr}
}

type malformedBlocks struct {
	ipam.Table[netip.Prefix, block.Block]
	cidr netip.Prefix
}

func (m malformedBlocks) Get(ctx context.Context, cidr netip.Prefix) (ipam.Row[block.Block], error) {
	row, err := m.Table.Get(ctx, cidr)
	if err == nil && cidr == m.cidr {
		err = fmt.Errorf("%w: IPAMBlock of %s", ipam.ErrMalformed, cidr)
	}
	return row, err
}

// TestMalformedBlockIsNotTakenOver requests an address from a pool without a free block. One block is malformed, and
// would be idle otherwise. The request gets no address.
func TestMalformedBlockIsNotTakenOver(t *testing.T) {
	s := newStore()
	s.Settings.StrictAffinity = true
	s.IPPools[0].CIDR = netip.MustParsePrefix("10.0.0.0/29")
	put(t, s, "b", "10.0.0.0/30", 0)
	put(t, s, "b", "10.0.0.4/30", 4)
	later := func() time.Time { return s.Now().Add(time.Hour) }
	a := &ipam.Allocator{Store: malformedBlock{s, netip.MustParsePrefix("10.0.0.0/30")}, Now: later, Parallel: 1}
	if got, err := assignWith(a, only4("a", "net.x")); !errors.Is(err, ipam.ErrNoAddress) {
		t.Errorf("assigned %v, %v", got, err)
	}
	a.Store = s
	if _, err := assignWith(a, only4("a", "net.x")); err != nil {
		t.Errorf("the well-formed block is not taken over: %v", err)
	}
}
