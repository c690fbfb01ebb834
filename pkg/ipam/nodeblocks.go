// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"context"
	"net/netip"
	"slices"

	"calico-cni/pkg/ipam/block"
)

// nodeBlocks are the blocks of the node, as far as a request has read them.
type nodeBlocks struct {
	backend backend
	node    string
	rows    []AffinityRow
	// fromCache says that rows were derived from the cache: blocks in which the node last found room. See fresh.
	fromCache bool
	// fresh says that rows have been read from the store since, without a cached answer.
	fresh bool
	// blocks are block rows from the cache or the view. The request uses each of them once; later it reads the block.
	blocks map[netip.Prefix]Row[block.Block]
}

func newNodeBlocks(b backend, view View, node string) *nodeBlocks {
	n := &nodeBlocks{
		backend: b, node: node, rows: view.Affinities, fromCache: view.FromCache, blocks: view.Blocks,
	}
	if n.blocks == nil {
		n.blocks = map[netip.Prefix]Row[block.Block]{}
	}
	return n
}

// refresh reads the affinities of the node, unless it has done so before. A stale list may lack blocks that the node
// has just claimed.
func (n *nodeBlocks) refresh(ctx context.Context) error {
	if n.fresh {
		return nil
	}
	rows, err := n.backend.store.AffinitiesOf(ctx, n.node, false)
	if err != nil {
		return err
	}
	sortNewestFirst(rows)
	n.rows, n.fresh = rows, true
	return nil
}

// addCached adds the blocks in which other requests of the node have found room since, except the full ones.
func (n *nodeBlocks) addCached(full map[netip.Prefix]bool) {
	for _, cidr := range n.backend.cache.WithRoom() {
		if n.owns(cidr) || full[cidr] {
			continue
		}
		n.rows = append(n.rows, AffinityRow{Key: AffinityKey{n.node, cidr}})
		n.reload(cidr)
	}
}

// reloadAll replaces the block rows by those of the cache.
func (n *nodeBlocks) reloadAll() {
	for cidr := range n.blocks {
		n.reload(cidr)
	}
}

func (n *nodeBlocks) reload(cidr netip.Prefix) {
	if row, ok := n.backend.cache.Get(cidr); ok {
		n.blocks[cidr] = row
	} else {
		delete(n.blocks, cidr)
	}
}

// use returns the row of a block if there is one, and removes it: after an attempt with this row the block has to be
// read.
func (n *nodeBlocks) use(cidr netip.Prefix) (Row[block.Block], bool) {
	row, ok := n.blocks[cidr]
	delete(n.blocks, cidr)
	return row, ok
}

func (n *nodeBlocks) owns(cidr netip.Prefix) bool {
	return slices.ContainsFunc(n.rows, func(r AffinityRow) bool { return r.Key.CIDR == cidr })
}

// add adds a block that the node has just claimed.
func (n *nodeBlocks) add(cidr netip.Prefix) {
	if n.owns(cidr) {
		return
	}
	row := Row[Affinity]{Value: Affinity{State: Confirmed}}
	n.rows = append(n.rows, AffinityRow{Key: AffinityKey{n.node, cidr}, Row: row})
}

// affinityOf returns the affinity of the node for a block of its own as it was read, without a revision if it does not
// exist. It returns false if the affinities have not been read.
func (n *nodeBlocks) affinityOf(cidr netip.Prefix) (affinity AffinityRow, read bool) {
	affinity = AffinityRow{Key: AffinityKey{n.node, cidr}}
	i := slices.IndexFunc(n.rows, func(r AffinityRow) bool { return r.Key.CIDR == cidr })
	if i >= 0 && !n.rows[i].Deleted {
		affinity = n.rows[i]
	}
	return affinity, !n.fromCache || n.fresh || affinity.Rev != nil
}

// confirm replaces the affinity of a block by a confirmed one.
func (n *nodeBlocks) confirm(cidr netip.Prefix) {
	n.remove(AffinityKey{n.node, cidr})
	n.add(cidr)
}

// remove removes a block that the node does not own.
func (n *nodeBlocks) remove(key AffinityKey) {
	n.rows = slices.DeleteFunc(slices.Clone(n.rows), func(r AffinityRow) bool { return r.Key == key })
}

// count returns the number of the node's blocks of an IP family.
func (n *nodeBlocks) count(ipv6 bool) (count int) {
	for _, row := range n.rows {
		if row.Key.CIDR.Addr().Is6() == ipv6 {
			count++
		}
	}
	return count
}
