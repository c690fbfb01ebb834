// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/memstore"
	"calico-cni/pkg/ipam/pool"
)

// rendezvous makes two processes check for overlapping blocks at the same time: each waits until the other has
// created its block, and continues only after the other has read the blocks.
type rendezvous struct {
	*memstore.Store
	once          sync.Once
	arrive, leave *sync.WaitGroup
}

func (r *rendezvous) BlocksOverlapping(ctx context.Context, cidr netip.Prefix) (out []netip.Prefix, err error) {
	first := false
	r.once.Do(func() { first = true; r.arrive.Done(); r.arrive.Wait() })
	out, err = r.Store.BlocksOverlapping(ctx, cidr)
	if first {
		r.leave.Done()
		r.leave.Wait()
	}
	return out, err
}

// TestConcurrentCreatorsOfOverlappingBlocksWithdraw lets two nodes create overlapping blocks at the same time, one
// with the old block size of the pool and one with the new. Each sees the block of the other and deletes its own. No
// address is allocated twice, no block is left, and the next request succeeds.
func TestConcurrentCreatorsOfOverlappingBlocksWithdraw(t *testing.T) {
	s := newStore()
	var arrive, leave, done sync.WaitGroup
	arrive.Add(2)
	leave.Add(2)
	view := func(size int) ipam.View {
		return ipam.View{Config: s.Settings, Pools: []pool.Pool{ofPool("v4", "10.0.0.0/30", size)}}
	}
	errs := map[string]error{}
	var mu sync.Mutex
	for node, size := range map[string]int{"a": 30, "b": 31} {
		a := &ipam.Allocator{Store: &rendezvous{Store: s, arrive: &arrive, leave: &leave}, Now: later(), Parallel: 1}
		done.Go(func() {
			_, err := a.Assign(context.Background(), view(size), only4(node, "net."+node))
			mu.Lock()
			defer mu.Unlock()
			errs[node] = err
		})
	}
	done.Wait()
	unique(t, s)
	for node, err := range errs {
		if err != nil && !errors.Is(err, ipam.ErrNoAddress) {
			t.Errorf("node %s: %v", node, err)
		}
	}
	later := &ipam.Allocator{Store: s, Now: s.Now}
	if errs["a"] != nil && errs["b"] != nil {
		if _, err := later.Assign(context.Background(), view(30), only4("a", "net.next")); err != nil {
			t.Errorf("no node got an address, and the next request fails: %v\n%s", err, s)
		}
	}
	for _, id := range []string{"net.a", "net.b", "net.next"} {
		if err := release(later, id); err != nil {
			t.Error(err)
		}
	}
	if left := len(s.AllBlocks()); left > 1 {
		t.Errorf("%d blocks are left, want that of one node\n%s", left, s)
	}
}
