// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/pool"
)

// checkAffinities checks that the owner of a block repairs an affinity that is not confirmed, after all actors have
// ended: an ADD does so for the cached block from which it allocates, when it verifies the affinity; and ADDs that list
// the affinities do so for all blocks.
func (m *model) checkAffinities() error {
	m.store.Lag = nil
	var nodes []string
	for _, sc := range m.sit.scripts {
		if !slices.Contains(nodes, sc.node) {
			nodes = append(nodes, sc.node)
		}
	}
	for _, node := range nodes {
		if len(m.unconfirmed(node)) == 0 {
			continue
		}
		got, err := m.probe(node, m.caches.withRoom[node])
		if err == nil && !got.Borrowed && slices.Contains(m.unconfirmed(node), got.Block) {
			return fmt.Errorf("node %s allocated from block %s with an unconfirmed affinity", node, got.Block)
		}
		for range len(m.store.AllBlocks()) {
			if _, err := m.probe(node, nil); ignore(err, ipam.ErrNoAddress) != nil {
				return err
			}
		}
		if left := m.unconfirmed(node); len(left) > 0 {
			return fmt.Errorf("affinities of node %s for blocks %v are not confirmed after ADDs that list them", node, left)
		}
	}
	return nil
}

// unconfirmed returns the blocks of a node that have pods and no confirmed affinity, and from which the node allocates.
func (m *model) unconfirmed(node string) (cidrs []netip.Prefix) {
	for cidr, b := range m.store.AllBlocks() {
		p, ok := pool.Containing(m.store.IPPools, cidr.Addr())
		usable := ok && p.Selects(nil) && p.BlockSize == cidr.Bits() && cidr.Addr().Is4() && len(m.store.Overlaps()) == 0
		if b.Affinity != "host:"+node || b.Usage().Used == 0 || !usable {
			continue
		}
		row, err := m.store.Affinities().Get(context.Background(), ipam.AffinityKey{Node: node, CIDR: cidr})
		if err != nil || row.Deleted || row.Value.State != ipam.Confirmed {
			cidrs = append(cidrs, cidr)
		}
	}
	return cidrs
}

// probe is an ADD with cached blocks, whose affinities it verifies, or without. Its address is released afterwards.
func (m *model) probe(node string, cached []netip.Prefix) (ipam.Assigned, error) {
	const handle = "net.probe"
	ctx := context.Background()
	alloc := &ipam.Allocator{Store: m.store, Now: m.store.Now, Parallel: 1}
	cached = slices.DeleteFunc(slices.Clone(cached), func(cidr netip.Prefix) bool { return cidr.Addr().Is6() })
	view, err := alloc.Gather(ctx, m.store, node, cached, true)
	if err != nil {
		return ipam.Assigned{}, err
	}
	got, err := alloc.Assign(ctx, view, only4(node, handle))
	if err != nil {
		return ipam.Assigned{}, err
	}
	h, err := alloc.Lookup(ctx, handle)
	if err == nil {
		_, err = alloc.Release(ctx, h, nil, 0)
	}
	if bad := m.store.Check(); len(bad) > 0 {
		err = errors.Join(err, errors.New(strings.Join(bad, "\n")))
	}
	return got[0], err
}
