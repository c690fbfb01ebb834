// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"calico-cni/pkg/ipam/pool"
	"calico-cni/test/crowd"
	"calico-cni/test/node"
	"calico-cni/test/proxy"
)

// effort is the number of measurements.
type effort struct {
	// starts is the number of program starts, alone of sequential attachments, peaks of memory measurements.
	starts, alone, peaks int
	// together is the number of pods of which atATime are attached concurrently, burst of those that are all attached
	// concurrently, repeats the number of runs of both.
	together, burst, repeats int
	// The API server is measured with batches of perBatch pods, and as many of the mix.
	batches, perBatch int
	// crowded is the final number of pods on the node, probes the number of pods attached beside them.
	crowded, probes int
	// blocks is the number of blocks written to the store for the last measurement; 0 skips it.
	blocks int
}

// atATime is the number of pods that a busy kubelet attaches concurrently.
const atATime = 10

// bench is the node that is measured.
type bench struct {
	*testing.T
	effort effort
	node   *node.Node
	tools  string
	proxy  *proxy.Proxy
	all    []contender
	// pods are attached and detached repeatedly, so that the kernel's cleanup of deleted namespaces does not affect the
	// results.
	pods []*node.Pod
}

func newBench(t *testing.T, e effort) *bench {
	t.Helper()
	n := startNode(t)
	p := proxy.Start(t, n.Kubeconfig())
	b := &bench{T: t, effort: e, node: n, tools: os.Getenv("BENCH_TOOLS"), proxy: p, all: contenders(t, n, p)}
	for i := range max(e.crowded, e.burst, e.together, e.perBatch) + 1 {
		pod, err := n.CreatePod(t.Context(), fmt.Sprintf("pod-%03d", i))
		must(t, err)
		b.pods = append(b.pods, pod)
	}
	// One pod remains, so that the node is in its steady state: it has a block with free addresses.
	warm, err := n.CreatePod(t.Context(), "warm")
	must(t, err)
	b.call(b.all[0], "ADD", warm)
	b.measureAlone(1)
	return b
}

// call calls a plugin and expects success.
func (b *bench) call(c contender, verb string, p *node.Pod) spent {
	b.Helper()
	s, err := c.call(verb, p, c.config)
	must(b.T, err)
	return s
}

// probe returns the last pod, which nothing else attaches.
func (b *bench) probe() *node.Pod { return b.pods[len(b.pods)-1] }

// traffic is the API traffic of a call.
type traffic struct {
	requests, rounds, connections, bytes int
	lines                                string
}

// countTraffic counts the traffic in the steady state, by verb and contender.
func (b *bench) countTraffic() map[string]map[string]traffic {
	b.Helper()
	out := map[string]map[string]traffic{"ADD": {}, "DEL": {}}
	for _, c := range b.all {
		if c.counted == nil {
			continue
		}
		// The block cache belongs to a server, and the proxy is another server.
		for _, verb := range verbs {
			_, err := c.call(verb, b.probe(), c.counted)
			must(b.T, err)
		}
		for _, verb := range verbs {
			b.proxy.Take()
			_, err := c.call(verb, b.probe(), c.counted)
			must(b.T, err)
			requests, connections := b.proxy.Take()
			got := traffic{requests: len(requests), connections: connections, lines: proxy.Lines(requests)}
			for _, r := range requests {
				got.rounds, got.bytes = max(got.rounds, r.Round), got.bytes+int(r.Asked+r.Answered)
			}
			out[verb][c.name] = got
		}
	}
	return out
}

// startUp measures how long the programs take to print their version, and how long hello world takes, in milliseconds.
func (b *bench) startUp() map[string]sample {
	b.Helper()
	out := map[string]sample{}
	for range b.effort.starts {
		for _, name := range []string{"hello", "calico", "calico-ipam", "ptp"} {
			cmd := exec.Command(filepath.Join(b.tools, name))
			cmd.Env = []string{"CNI_COMMAND=VERSION"}
			started := time.Now()
			must(b.T, cmd.Run())
			out[name] = append(out[name], ms(time.Since(started)))
		}
	}
	return out
}

// sizes returns the sizes of the binaries in MB, and the total of all installed ones as "installed".
func (b *bench) sizes() map[string]float64 {
	b.Helper()
	out := map[string]float64{}
	size := func(name string) float64 {
		info, err := os.Stat(filepath.Join(b.tools, name))
		must(b.T, err)
		return float64(info.Size()) / 1e6
	}
	for _, name := range []string{"calico", "calico-ipam", "install"} {
		out[name] = size(name)
	}
	out["installed"] = out["calico"] + out["calico-ipam"]
	for _, path := range standard {
		out["installed"] += size(filepath.Base(path))
	}
	return out
}

// measureAlone attaches and detaches a pod, one contender after the other.
func (b *bench) measureAlone(turns int) figures {
	b.Helper()
	out := figures{}
	alternate(b.all, turns, func(_ int, c contender) {
		for _, verb := range verbs {
			out.add(verb, c.name, b.call(c, verb, b.probe()))
		}
	})
	return out
}

// measurePeaks returns the peak memory of the largest process of a call in MiB, by verb and contender.
func (b *bench) measurePeaks() map[string]map[string]sample {
	b.Helper()
	out := map[string]map[string]sample{"ADD": {}, "DEL": {}}
	alternate(b.all, b.effort.peaks, func(_ int, c contender) {
		for _, verb := range verbs {
			out[verb][c.name] = append(out[verb][c.name], c.peak(b.T, b.tools, verb, b.probe()))
		}
	})
	return out
}

// growth shows how the cost of an ADD and a DEL grows.
type growth struct {
	// few and many are the costs with one other pod and on a full node. full is the cost with one other pod and a full
	// store.
	few, many, full figures
	// nth has the times of the ADDs of the n-th pods.
	nth sample
	// filled is the time to fill the store.
	filled time.Duration
}

// of returns the ratio of an ADD's time to that beside one pod.
func (g growth) of(to figures, name string) float64 {
	return to["ADD"][name].wall.median() / g.few["ADD"][name].wall.median()
}

func (b *bench) measureGrowth() growth {
	b.Helper()
	g := growth{few: b.measureAlone(b.effort.probes)}
	first := b.all[0]
	others := b.pods[:b.effort.crowded-2] // besides the permanent pod and the probe
	for _, p := range others {
		g.nth = append(g.nth, b.call(first, "ADD", p).wall)
	}
	g.many = b.measureAlone(b.effort.probes)
	for _, p := range others {
		b.call(first, "DEL", p)
	}
	if b.effort.blocks > 0 {
		g.filled = b.fill()
		time.Sleep(settle)
		g.full = b.measureAlone(b.effort.probes)
	}
	return g
}

// settle is the pause for the API server after many writes, which it processes for a while.
const settle = 30 * time.Second

// perNode is the number of blocks of a node in the crowd, held the number of pods per block.
const perNode, held = 4, 3

// fill writes blocks, affinities and handles of many nodes.
func (b *bench) fill() time.Duration {
	b.Helper()
	started := time.Now()
	c, err := crowd.New(b.node.Server.Kubeconfig(), started)
	must(b.T, err)
	cidr := netip.MustParsePrefix("10.0.0.0/9")
	_, err = c.Add(b.Context(), crowd.Group{
		Nodes: crowd.Names("crowd", b.effort.blocks/perNode), Pool: pool.Pool{
			Name: "default-ipv4-ippool", CIDR: cidr,
			BlockSize: 26,
		}, Blocks: perNode, Held: held,
	})
	must(b.T, err)
	return time.Since(started)
}

// result has all measurements.
type result struct {
	effort               effort
	started              time.Time
	load                 string
	others               float64 // CPU time of other processes, in percent
	kernel, ram, version string
	kubernetes           string
	contenders           []string

	traffic  map[string]map[string]traffic
	startUp  map[string]sample
	sizes    map[string]float64
	alone    figures
	peaks    map[string]map[string]sample
	together map[string]map[string][]flood
	burst    map[string]map[string][]flood
	server   serverCost
	growth   growth
}

// measure measures everything.
func measure(t *testing.T, e effort, version string) result {
	t.Helper()
	b := newBench(t, e)
	kubernetes, err := b.node.Server.Client().Discovery().ServerVersion()
	must(t, err)
	r := result{
		effort: e, started: time.Now(), load: os.Getenv("BENCH_LOAD"), kernel: kernel(t), ram: memory(t),
		version: cmp.Or(version, "unversioned"), kubernetes: kubernetes.GitVersion,
	}
	for _, c := range b.all {
		r.contenders = append(r.contenders, c.name)
	}
	before := b.clock()
	for _, phase := range []struct {
		name string
		do   func()
	}{
		{"traffic", func() { r.traffic = b.countTraffic() }},
		{"start-up", func() { r.startUp, r.sizes = b.startUp(), b.sizes() }},
		{"sequential calls", func() { r.alone = b.measureAlone(b.effort.alone) }},
		{"memory", func() { r.peaks = b.measurePeaks() }},
		{"concurrent calls", func() { r.together = b.floods(b.effort.together, atATime) }},
		{"burst", func() { r.burst = b.floods(b.effort.burst, b.effort.burst) }},
		{"API server", func() { r.server = b.measureServer(context.WithoutCancel(t.Context())) }},
		{"growth", func() { r.growth = b.measureGrowth() }},
	} {
		started := time.Now()
		phase.do()
		t.Logf("%s: %.1f s", phase.name, time.Since(started).Seconds())
	}
	spent, elapsed := b.clock().since(before)
	r.others = 100 * spent.others() / elapsed / float64(runtime.NumCPU())
	return r
}
