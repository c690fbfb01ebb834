package ipam_test

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
)

// drifting is a clock that someone sets back and ahead. It ticks one second a look.
type drifting struct {
	choices chooser
	at      time.Time
	// steps is how often it may still be set.
	steps, set int
}

func newDrifting(choices chooser, steps int) *drifting {
	return &drifting{choices: choices, at: clock()().Add(time.Hour), steps: steps}
}

func (c *drifting) now() time.Time {
	c.at = c.at.Add(time.Second)
	if c.steps > 0 {
		if by := c.choices.choose(3); by > 0 {
			c.steps--
			c.set++
			// No clock shows the same nanosecond twice.
			c.at = c.at.Add(time.Duration(2*by-3)*2*time.Hour + time.Duration(c.set)*7)
		}
	}
	return c.at
}

// memories are what the nodes remember of blocks.
type memories struct {
	m *model
	// roomy are the blocks in which nodes found room, also before the run: they may be another node's by now, or gone.
	roomy map[string][]netip.Prefix
	// kept has every revision of a block that a node was told to remember, oldest first.
	kept map[place][]ipam.Row[block.Block]
	// none says that nothing is recalled, to bound the number of orders.
	none bool
}

// place is a block in the memory of a node.
type place struct {
	node string
	cidr netip.Prefix
}

func newMemories(m *model, crashes bool) *memories {
	out := &memories{m: m, roomy: map[string][]netip.Prefix{}, none: m.bounded && crashes}
	out.expire()
	for _, row := range m.store.BlockRows() {
		node, _ := strings.CutPrefix(row.Value.Affinity, "host:")
		out.roomy[node] = append(out.roomy[node], row.Value.CIDR)
		out.keep(node, row)
	}
	for _, cidrs := range out.roomy {
		slices.SortFunc(cidrs, netip.Prefix.Compare)
	}
	return out
}

// expire forgets the contents of all blocks, as a node does when they are older than a memory may be.
func (s *memories) expire() { s.kept = map[place][]ipam.Row[block.Block]{} }

func (s *memories) keep(node string, row ipam.Row[block.Block]) {
	row.Value = row.Value.Clone()
	at := place{node, row.Value.CIDR}
	s.kept[at] = append(s.kept[at], row)
}

// dim is the memory of a node: of a block it shows nothing, or the oldest revision that it was told to remember, the
// newest, or the one before. Where all orders are tried it is the first two, and with crashes the first: there would
// be too many. Where an ADD may wait for the node's lock it is the oldest or the newest.
type dim struct {
	*memories
	node string
}

func (d dim) Roomy() []netip.Prefix { return d.roomy[d.node] }

func (d dim) Recall(cidr netip.Prefix) (row ipam.Row[block.Block], ok bool) {
	past := d.kept[place{d.node, cidr}]
	if len(past) == 0 || d.none {
		return row, false
	}
	options := []int{-1, 0, len(past) - 1, max(0, len(past)-2)}
	switch {
	case d.m.bounded && d.m.sit.turns:
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

func (d dim) Keep(_ netip.Prefix, row ipam.Row[block.Block]) { d.keep(d.node, row) }

func (d dim) Renew(cidr netip.Prefix, row ipam.Row[block.Block]) {
	if len(d.kept[place{d.node, cidr}]) > 0 {
		d.keep(d.node, row)
	}
}

// Forget does nothing: another process of the node may write what it remembers at the same time.
func (dim) Forget(netip.Prefix) {}
