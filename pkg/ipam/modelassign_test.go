// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
)

// assign is the part of an ADD that uses the store. before is the number of releases of the handle that had begun
// before the ADD.
func (m *model) assign(a *actor, alloc *ipam.Allocator, r ipam.Request, before int) error {
	got, err := m.gatherAndAssign(alloc, r)
	if err != nil || a.crashed || a.cut {
		return err
	}
	if n := m.holdingsOf(r); n > len(r.Wants) {
		return fmt.Errorf("the request wants %d addresses and holds %d", len(r.Wants), n)
	}
	m.succeeded = append(m.succeeded, r)
	who := attachmentOfOwner(r.Handle, r.Owner).String()
	if m.released[who] != before || m.releasing[who] > 0 {
		return nil
	}
	for _, g := range got {
		m.held[who] = append(m.held[who], g.Addr)
	}
	m.checked = -1
	// While the pod runs, no other actor may release its address.
	return a.call(step{what: "the pod runs"}, func() error { return nil })
}

// holdingsOf counts the addresses of a request.
func (m *model) holdingsOf(r ipam.Request) (n int) {
	for _, b := range m.store.AllBlocks() {
		n += len(b.HeldBy(func(o block.Attribute) bool {
			return o.Handle == r.Handle && o.Owner["timestamp"] == r.Owner["timestamp"]
		}))
	}
	return n
}

// gatherAndAssign builds a view and assigns. Unlike Gather it reads sequentially, so that runs can be replayed. The
// view is from the cache, or from the list of affinities.
func (m *model) gatherAndAssign(alloc *ipam.Allocator, r ipam.Request) ([]ipam.Assigned, error) {
	view := ipam.View{Config: m.store.Settings, Pools: slices.Clone(m.store.IPPools), Reserved: m.store.Reserved}
	known := m.caches.withRoom[r.Node]
	if len(known) > 0 && m.choices.choose(2) == 0 {
		view.FromCache, view.Blocks = true, map[netip.Prefix]ipam.Row[block.Block]{}
		// An exhaustive run does not verify affinities, to bound the number of interleavings.
		verify := !m.bounded && m.choices.choose(2) == 1
		for _, cidr := range known {
			if row, ok := alloc.Cache.Get(cidr); ok {
				view.Blocks[cidr] = row
			} else if row, err := alloc.Store.Blocks().Get(context.Background(), cidr); err == nil && !row.Deleted {
				view.Blocks[cidr] = row
			}
			affinity := ipam.AffinityRow{Key: ipam.AffinityKey{Node: r.Node, CIDR: cidr}}
			if verify {
				affinity.Row, _ = alloc.Store.Affinities().Get(context.Background(), affinity.Key)
			}
			view.Affinities = append(view.Affinities, affinity)
			view.FromCache = view.FromCache && (!verify || view.Verified(cidr))
		}
	}
	if !view.FromCache {
		rows, err := alloc.Store.AffinitiesOf(context.Background(), r.Node, len(view.Blocks) == 0)
		if err != nil {
			return nil, err
		}
		view.Affinities = rows
	}
	got, err := alloc.Assign(context.Background(), view, r)
	if err == nil && !got[0].Borrowed {
		m.caches.withRoom[r.Node] = nil
		for _, g := range got {
			m.caches.withRoom[r.Node] = append(m.caches.withRoom[r.Node], g.Block)
		}
	}
	return got, err
}

// release is the part of a DEL that uses the store. It reports whether the handle existed and was released completely.
func (m *model) release(alloc *ipam.Allocator, who attachment) (all bool, err error) {
	key := who.String()
	delete(m.held, key)
	m.released[key]++
	m.releasing[key]++
	defer func() { m.releasing[key]-- }()
	h, err := alloc.Lookup(context.Background(), who.handle)
	if err != nil || !h.Found() {
		return false, err
	}
	released, err := alloc.Release(context.Background(), h, who.mine(), m.cooldown())
	if err != nil {
		return false, err
	}
	return released.Deleted, alloc.ReleaseUnselected(context.Background(), m.store, released.Emptied, m.cooldown())
}

// releaseQueued settles a queued release. The model does not count it as a release of the handle: a pod that is added
// after its DEL was queued keeps its address.
func (m *model) releaseQueued(alloc *ipam.Allocator, handle string) error {
	h, err := alloc.Lookup(context.Background(), handle)
	if err != nil || !h.Found() {
		return err
	}
	_, err = alloc.Release(context.Background(), h, nil, m.cooldown())
	return err
}
