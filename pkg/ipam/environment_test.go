// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
)

// driftingClock is a clock that is set back and ahead. Each call advances it by one second.
type driftingClock struct {
	choices chooser
	at      time.Time
	// steps is how often it may still be set, set how often it was.
	steps, set int
}

func newDriftingClock(choices chooser, steps int) *driftingClock {
	return &driftingClock{choices: choices, at: clock()().Add(time.Hour), steps: steps}
}

func (c *driftingClock) now() time.Time {
	c.at = c.at.Add(time.Second)
	if c.steps > 0 {
		if by := c.choices.choose(3); by > 0 {
			c.steps--
			c.set++
			// Real clocks do not return the same nanosecond twice.
			c.at = c.at.Add(time.Duration(2*by-3)*2*time.Hour + time.Duration(c.set)*7)
		}
	}
	return c.at
}

// nodeCaches are the block caches of the nodes.
type nodeCaches struct {
	m *model
	// withRoom are the blocks in which nodes found room, including those from before the run. Another node may own
	// them by now, or they may be deleted.
	withRoom map[string][]netip.Prefix
	// kept has every cached revision of a block, oldest first.
	kept map[place][]ipam.Row[block.Block]
	// none says that the cache returns nothing, to bound the number of interleavings.
	none bool
}

// place is a block in the cache of a node.
type place struct {
	node string
	cidr netip.Prefix
}

func newNodeCaches(m *model, crashes bool) *nodeCaches {
	out := &nodeCaches{m: m, withRoom: map[string][]netip.Prefix{}, none: m.bounded && crashes}
	out.expire()
	for _, row := range m.store.BlockRows() {
		node, _ := strings.CutPrefix(row.Value.Affinity, "host:")
		out.withRoom[node] = append(out.withRoom[node], row.Value.CIDR)
		out.keep(node, row)
	}
	for _, cidrs := range out.withRoom {
		slices.SortFunc(cidrs, netip.Prefix.Compare)
	}
	return out
}

// expire drops all cached blocks, as a node does when they are too old.
func (s *nodeCaches) expire() { s.kept = map[place][]ipam.Row[block.Block]{} }

func (s *nodeCaches) keep(node string, row ipam.Row[block.Block]) {
	row.Value = row.Value.Clone()
	at := place{node, row.Value.CIDR}
	s.kept[at] = append(s.kept[at], row)
}

// nodeCache is the block cache of one node. For a block it returns nothing, the oldest revision, the newest, or the
// one before the newest. An exhaustive run has fewer choices, to bound the number of interleavings: nothing with
// crashes; the oldest or newest revision where an ADD may wait for the node's lock; else nothing or the oldest.
type nodeCache struct {
	*nodeCaches
	node string
}

func (d nodeCache) WithRoom() []netip.Prefix { return d.withRoom[d.node] }

func (d nodeCache) Get(cidr netip.Prefix) (row ipam.Row[block.Block], ok bool) {
	past := d.kept[place{d.node, cidr}]
	if len(past) == 0 || d.none {
		return row, false
	}
	options := []int{-1, 0, len(past) - 1, max(0, len(past)-2)}
	switch {
	case d.m.bounded && d.m.sit.lockWait:
		options = options[1:3]
	case d.m.bounded:
		options = options[:2]
	}
	i := options[d.m.choices.choose(len(options))]
	if i < 0 {
		return row, false
	}
	row = past[i]
	row.Value = row.Value.Clone()
	return row, true
}

func (d nodeCache) Put(_ netip.Prefix, row ipam.Row[block.Block]) { d.keep(d.node, row) }

func (d nodeCache) Replace(cidr netip.Prefix, row ipam.Row[block.Block]) {
	if len(d.kept[place{d.node, cidr}]) > 0 {
		d.keep(d.node, row)
	}
}

// Delete does nothing: another process of the node may write the entry again at the same time.
func (nodeCache) Delete(netip.Prefix) {}
