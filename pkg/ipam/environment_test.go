package ipam_test

import (
	"context"
	"net/netip"
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
	// history has every revision of each block, oldest first.
	history map[netip.Prefix][]ipam.Row[block.Block]
	// none says that nothing is recalled, to bound the number of orders.
	none bool
}

func newMemories(m *model, crashes bool) *memories {
	out := &memories{m: m, roomy: map[string][]netip.Prefix{}, none: m.bounded && crashes}
	out.expire()
	for _, node := range []string{"a", "b", "c"} {
		rows, _ := m.store.AffinitiesOf(context.Background(), node, false)
		for _, row := range rows {
			out.roomy[node] = append(out.roomy[node], row.Key.CIDR)
		}
	}
	return out
}

// expire forgets the contents of blocks, and remembers them as they are now.
func (s *memories) expire() {
	s.history = map[netip.Prefix][]ipam.Row[block.Block]{}
	s.record(s.m.store.BlockRows())
}

// record notes the revisions of blocks that are new.
func (s *memories) record(rows map[netip.Prefix]ipam.Row[block.Block]) {
	for cidr, row := range rows {
		past := s.history[cidr]
		if len(past) == 0 || past[len(past)-1].Rev != row.Rev {
			s.history[cidr] = append(past, row)
		}
	}
}

// dim is the memory of a node: of a block it shows nothing, the oldest revision, the newest, or the one before. Where all
// orders are tried it is the first two, and with crashes the first: there would be too many.
type dim struct {
	*memories
	node string
}

func (d dim) Roomy() []netip.Prefix { return d.roomy[d.node] }

func (d dim) Recall(cidr netip.Prefix) (row ipam.Row[block.Block], ok bool) {
	past := d.history[cidr]
	if len(past) == 0 || d.none {
		return row, false
	}
	options := []int{-1, 0, len(past) - 1, max(0, len(past)-2)}
	if d.m.bounded {
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

func (dim) Keep(netip.Prefix, ipam.Row[block.Block])  {}
func (dim) Renew(netip.Prefix, ipam.Row[block.Block]) {}
func (dim) Forget(netip.Prefix)                       {}
