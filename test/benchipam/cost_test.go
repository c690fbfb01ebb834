package benchipam

import (
	"slices"
	"testing"
	"time"

	"calico-cni/test/proxy"
)

// most is how many times as much a call may cost in the full cluster.
const most = 2

// checkBytes bounds a check for overlapping blocks: the names of 2,112 blocks, compressed. A larger cluster is asked for a fixed
// number of names instead (docs/decisions/0030-blocks-do-not-overlap.md).
const checkBytes = 130_000

// small is a cluster for every day.
var small = size{
	nodes: 300, blocks: 4, held: 2, wide: "10.0.0.0/13", third: "10.128.0.0/15", small: 22, huge: 22, counted: 1,
}

// TestAFullClusterCostsNoMoreThanTwiceAnEmptyOne holds the cost of each situation in a cluster of 1,200 blocks against
// that in one that has next to none. It fails when somebody lists what grows with the cluster.
func TestAFullClusterCostsNoMoreThanTwiceAnEmptyOne(t *testing.T) {
	b := newBench(t, small)
	b.proxy.Arm(nil) // nothing is held back: rounds are not looked at here
	empty := b.measureAll()
	b.fill()
	for i, full := range b.measureAll() {
		before, after := empty[i].cost, full.cost
		if before.most().requests < 5 || before.most().bytes < 1000 {
			t.Errorf("%s took %+v: the proxy is not looking", full.name, before.most())
		}
		bytes := most*before.most().bytes + int64(full.checks)*checkBytes
		if after.most().requests > most*before.most().requests || after.most().bytes > bytes {
			t.Errorf("%s took %+v in the empty cluster and %+v in the full one, want at most %d times as much:\n%s",
				full.name, before.most(), after.most(), most, proxy.Lines(after.last))
		}
	}
}

// row is a situation and its cost.
type row struct {
	situation
	cost
}

// measureAll measures all situations in the cluster as it is.
func (b *bench) measureAll() []row {
	b.Helper()
	rows := b.measureThese(common)
	b.lay()
	rows = append(rows, b.measureThese(crowded)...)
	b.clear()
	return rows
}

func (b *bench) measureThese(situations []situation) []row {
	b.Helper()
	var rows []row
	for _, s := range situations {
		r := row{s, b.measure(s)}
		b.Logf("%-60s at most %+v, %.0f objects scanned", s.name, r.most(), r.scanned)
		rows = append(rows, r)
	}
	return rows
}

// cost is what a situation costs, node by node.
type cost struct {
	calls []call
	// times are those of calls that did not go through the proxy, which holds each request back.
	times []time.Duration
	// scanned is how many objects the server went through for the lists of a call, on average.
	scanned float64
	// last are the requests of the last call counted.
	last []proxy.Request
}

// call is what one call costs: bytes are those of the bodies that the server received and sent.
type call struct {
	requests, rounds int
	bytes            int64
}

func (c *cost) add(requests []proxy.Request) {
	one := call{requests: len(requests)}
	for _, r := range requests {
		one.rounds = max(one.rounds, r.Round)
		one.bytes += r.Asked + r.Answered
	}
	c.calls, c.last = append(c.calls, one), requests
}

// most is the most of each that any call cost.
func (c cost) most() call {
	var m call
	for _, one := range c.calls {
		m = call{max(m.requests, one.requests), max(m.rounds, one.rounds), max(m.bytes, one.bytes)}
	}
	return m
}

// mean is what a call cost on average: requests and bytes.
func (c cost) mean() (requests, bytes float64) {
	for _, one := range c.calls {
		requests += float64(one.requests) / float64(len(c.calls))
		bytes += float64(one.bytes) / float64(len(c.calls))
	}
	return requests, bytes
}

// median is the time in the middle, 0 where none was taken.
func (c cost) median() time.Duration {
	if len(c.times) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(c.times))[len(c.times)/2]
}
