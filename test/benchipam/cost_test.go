// SPDX-License-Identifier: Apache-2.0

package benchipam

import (
	"slices"
	"testing"
	"time"

	"calico-cni/test/proxy"
)

// most is the maximum ratio of the cost in the full cluster to that in the empty one.
const most = 2

// checkBytes bounds a check for overlapping blocks: the compressed names of 2,112 blocks. In a larger cluster only a
// fixed number of names is requested (docs/decisions/0030-blocks-do-not-overlap.md).
const checkBytes = 130_000

// small is the cluster for ordinary test runs.
var small = size{
	nodes: 300, blocks: 4, held: 2, wide: "10.0.0.0/13", third: "10.128.0.0/15", small: 22, huge: 22, counted: 1,
}

// TestFullClusterCostsAtMostTwice compares the cost of each situation in a cluster of 1,200 blocks with that in a
// nearly empty one. It fails if a command lists something that grows with the cluster.
func TestFullClusterCostsAtMostTwice(t *testing.T) {
	b := newBench(t, small)
	b.proxy.Arm(nil) // no delays, because rounds are not counted here
	empty := b.measureAll()
	b.fill()
	for i, full := range b.measureAll() {
		before, after := empty[i].cost, full.cost
		if before.most().requests < 5 || before.most().bytes < 1000 {
			t.Errorf("%s took %+v: the proxy did not see the requests", full.name, before.most())
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

// measureAll measures all situations in the current cluster.
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

// cost is the cost of a situation, per node.
type cost struct {
	calls []call
	// times are those of calls without the proxy, which delays each request.
	times []time.Duration
	// scanned is the average number of objects that the server scans for the lists of a call.
	scanned float64
	// last are the requests of the last counted call.
	last []proxy.Request
}

// call is the cost of one call. bytes are those of the bodies in both directions.
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

// most returns the maximum of each cost.
func (c cost) most() call {
	var m call
	for _, one := range c.calls {
		m = call{max(m.requests, one.requests), max(m.rounds, one.rounds), max(m.bytes, one.bytes)}
	}
	return m
}

// mean returns the average number of requests and bytes.
func (c cost) mean() (requests, bytes float64) {
	for _, one := range c.calls {
		requests += float64(one.requests) / float64(len(c.calls))
		bytes += float64(one.bytes) / float64(len(c.calls))
	}
	return requests, bytes
}

// median returns the median time, 0 if none was measured.
func (c cost) median() time.Duration {
	if len(c.times) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(c.times))[len(c.times)/2]
}
