// SPDX-License-Identifier: Apache-2.0

package benchipam

import (
	"cmp"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"calico-cni/pkg/invocation"
	"calico-cni/pkg/ipam/pool"
	"calico-cni/test/crowd"
	"calico-cni/test/node"
	"calico-cni/test/proxy"
)

// perBlock is the number of addresses per block.
const perBlock = 64

// measured is the name of the pod whose ADD or DEL is measured.
const measured = "measured"

// size is the size of the clusters.
type size struct {
	// nodes use the pools wide and third, half each, with a number of blocks and pods per block.
	nodes, blocks, held int
	wide, third         string
	// small is the prefix length of the fully claimed pools, huge that of the pool that exceeds a walk.
	small, huge int
	// counted is the number of nodes on which requests are counted, timed the number of further nodes on which time is
	// measured.
	counted, timed int
}

// bench is the measured cluster.
type bench struct {
	*testing.T
	size    size
	node    *node.Node
	proxy   *proxy.Proxy
	counted string // the kubeconfig that uses the proxy
	crowd   *crowd.Crowd
	pools   map[string]pool.Pool
	// stage is 0 while the cluster is empty, and 1 when it is full.
	stage int
}

func newBench(t *testing.T, s size) *bench {
	t.Helper()
	n := startNode(t)
	through := proxy.Start(t, n.Kubeconfig())
	c, err := crowd.New(n.Server.Kubeconfig(), time.Now())
	must(t, err)
	b := &bench{
		T: t, size: s, node: n, proxy: through, counted: through.Kubeconfig(t, n.Kubeconfig()), crowd: c,
		pools: map[string]pool.Pool{},
	}
	b.pool(wide, s.wide, 26)
	b.pool(third, s.third, 26)
	b.pool(wide6, "fd00:10::/64", 122)
	return b
}

// pool creates a pool and records it.
func (b *bench) pool(name, cidr string, blockSize int) {
	b.Helper()
	object := fmt.Sprintf("%s-%d", name, b.stage)
	must(b.T, b.node.Datastore.CreatePool(b.Context(), object, cidr, blockSize))
	b.pools[name] = pool.Pool{Name: object, CIDR: netip.MustParsePrefix(cidr), BlockSize: blockSize}
}

// settle lets the crowd write, and returns the number of its blocks in a pool.
func (b *bench) settle(g crowd.Group) int {
	b.Helper()
	blocks, err := b.crowd.Add(b.Context(), g)
	must(b.T, err)
	return blocks
}

// lay creates the pools whose blocks are claimed by others.
func (b *bench) lay() {
	b.Helper()
	cidr := func(third, bits int) string { return fmt.Sprintf("10.%d.0.0/%d", 192+32*b.stage+third, bits) }
	b.pool(lent, cidr(0, b.size.small), 26)
	b.pool(idle, cidr(1, b.size.small), 26)
	b.pool(packed, cidr(2, b.size.small), 26)
	b.pool(capped, cidr(3, b.size.small-2), 26)
	b.pool(huge, cidr(16, b.size.huge), 26)

	blocks := 1 << (26 - b.size.small)
	free := b.size.counted + b.size.timed
	b.settleAll(lent, blocks, 2)
	b.settleAll(idle, blocks-free, perBlock)
	b.settleAll(idle, free, 0)
	b.settleAll(packed, blocks, perBlock)
	b.settleAll(capped, blocks, 2)
	b.settleAll(huge, 1<<(26-b.size.huge), perBlock)
}

// clear removes the pools of lay, so that the next stage does not have more pools. Their blocks stay.
func (b *bench) clear() {
	b.Helper()
	for _, name := range []string{lent, idle, packed, capped, huge} {
		must(b.T, b.node.Datastore.Delete(b.Context(), "ippools", b.pools[name].Name))
	}
}

// settleAll lets nodes claim all blocks of a pool.
func (b *bench) settleAll(pool string, blocks, held int) {
	b.Helper()
	names := crowd.Names(fmt.Sprintf("%s-%d-held-%d", pool, b.stage, held), blocks)
	b.settle(crowd.Group{Nodes: names, Pool: b.pools[pool], Blocks: 1, Held: held, NoHandles: held == perBlock})
}

// filled describes the filling of the cluster.
type filled struct {
	blocks, handles int
	// share is the percentage of claimed blocks per pool.
	share map[string]float64
	took  time.Duration
}

// labelled is the file in which the plugins record that the node's affinities have labels.
var labelled = filepath.Join(invocation.DefaultState, "ipam_upgraded")

// fill turns the empty cluster into a full one.
func (b *bench) fill() filled {
	b.Helper()
	started, f := time.Now(), filled{share: map[string]float64{}}
	for _, name := range []string{wide, third} {
		g := crowd.Group{
			Nodes: crowd.Names("crowd-"+name, b.size.nodes/2), Pool: b.pools[name], Blocks: b.size.blocks,
			Held: b.size.held,
		}
		f.share[name] = 100 * float64(b.settle(g)) / float64(g.Pool.Blocks())
		f.blocks += len(g.Nodes) * g.Blocks
		f.handles += len(g.Nodes) * g.Blocks * g.Held
	}
	b.stage, f.took = 1, time.Since(started)
	return f
}

// measure returns the cost of a situation.
func (b *bench) measure(s situation) cost {
	b.Helper()
	counted, timed := b.size.counted, b.size.timed
	if s.alone {
		counted, timed = 1, min(timed, 1)
	}
	hosts := b.hosts(s, counted+timed, counted)
	must(b.T, os.MkdirAll(invocation.DefaultState, 0o755))
	must(b.T, os.WriteFile(labelled, nil, 0o644))
	if s.before != nil {
		s.before(b, s, hosts)
	}
	verb := cmp.Or(s.verb, "ADD")
	pods := make([]*node.Pod, len(hosts))
	for i, h := range hosts {
		pods[i] = h.pod(measured)
	}
	var c cost
	scanned := b.scanned()
	for i, h := range hosts {
		h.before()
		b.proxy.Take()
		started := time.Now()
		h.call(verb, pods[i])
		if i >= counted {
			c.times = append(c.times, time.Since(started))
			continue
		}
		requests, _ := b.proxy.Take()
		c.add(requests)
	}
	c.scanned = (b.scanned() - scanned) / float64(len(hosts))
	return c
}
