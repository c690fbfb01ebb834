// SPDX-License-Identifier: Apache-2.0

package benchipam

import (
	"os"

	"calico-cni/pkg/invocation"
	"calico-cni/test/crowd"
)

// The pools. The first three always exist, and the crowd uses two of them. The others are created again for each of the
// two clusters.
const (
	wide   = "wide"   // 8 % of its blocks are claimed in the full cluster
	third  = "third"  // 30 % of them
	wide6  = "wide6"  // IPv6, no blocks claimed
	lent   = "lent"   // every block is claimed and has free addresses
	idle   = "idle"   // every block is claimed and full, except for some empty ones
	packed = "packed" // every block is claimed and full
	huge   = "huge"   // every block is claimed and full, and there are more blocks than a walk checks
	capped = "capped" // a quarter of the blocks is claimed and has free addresses
)

// maxBlocks is the default limit of blocks per node.
const maxBlocks = 20

// situation is one measured case.
type situation struct {
	name string
	// pool serves the request; dual adds an IPv6 address of wide6.
	pool string
	dual bool
	// plugin and verb are the called ones, by default calico-ipam and ADD.
	plugin, verb string
	// before prepares the nodes for the measurement.
	before func(b *bench, s situation, hosts []*host)
	// refused says that the call fails.
	refused bool
	// alone measures on a single node, because it is slow.
	alone bool
	// checks is the number of checks for overlapping blocks: one per family for each block that the call uses first.
	checks int
}

// common are the situations of a pool with free blocks.
var common = []situation{
	{name: "ADD, block with room, IPv4", pool: wide, before: hold("first")},
	{name: "DEL, IPv4", pool: wide, verb: "DEL", before: hold("first", measured)},
	{name: "ADD, blocks with room, dual stack", pool: wide, dual: true, before: hold("first")},
	{name: "DEL, dual stack", pool: wide, dual: true, verb: "DEL", before: hold("first", measured)},
	{
		name: "`calico` ADD, blocks with room, dual stack", plugin: "calico", pool: wide, dual: true,
		before: hold("first"),
	},
	{
		name: "`calico` DEL, dual stack", plugin: "calico", pool: wide, dual: true, verb: "DEL",
		before: hold("first", measured),
	},
	{name: "first ADD of a node, IPv4", checks: 1, pool: wide},
	{name: "first ADD of a node, dual stack", checks: 2, pool: wide, dual: true},
	{name: "first ADD after a boot, IPv4", checks: 1, pool: wide, before: booted},
	{name: "ADD that claims a second block", checks: 1, pool: wide, before: full(1)},
	{name: "ADD that claims a fifth block", checks: 1, pool: wide, before: full(4)},
	{name: "ADD that claims a second block, pool 30 % taken", checks: 1, pool: third, before: full(1)},
}

// crowded are the situations of a pool without free blocks, and of a node that may not claim more.
var crowded = []situation{
	{name: "ADD that borrows: all blocks of the pool claimed", checks: 1, pool: lent},
	{name: "ADD that borrows: node at its limit of 20 blocks", checks: 1, pool: capped, before: full(maxBlocks)},
	{name: "ADD that takes over an idle block", checks: 1, pool: idle},
	{name: "ADD refused: the pool is full", pool: packed, refused: true},
	{name: "ADD refused: more full blocks than a walk checks", pool: huge, refused: true, alone: true},
}

// hold adds these pods on each node.
func hold(pods ...string) func(*bench, situation, []*host) {
	return func(b *bench, s situation, hosts []*host) {
		for _, h := range hosts {
			for _, pod := range pods {
				h.call("ADD", h.pod(pod))
			}
		}
	}
}

// full gives each node full blocks.
func full(blocks int) func(*bench, situation, []*host) {
	return func(b *bench, s situation, hosts []*host) {
		g := crowd.Group{Pool: b.pools[s.pool], Blocks: blocks, Held: perBlock, NoHandles: true}
		for _, h := range hosts {
			g.Nodes = append(g.Nodes, h.name)
		}
		b.settle(g)
	}
}

// booted removes the record that the affinities have labels, like a reboot.
func booted(b *bench, _ situation, hosts []*host) {
	for _, h := range hosts {
		h.before = func() { must(b.T, os.RemoveAll(invocation.DefaultState)) }
	}
}
