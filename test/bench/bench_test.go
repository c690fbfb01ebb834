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

// effort says how much is measured.
type effort struct {
	// starts of programs, alone attachments one at a time, peaks of memory.
	starts, alone, peaks int
	// together is how many pods are attached tenfold at a time, burst how many at once, repeats how many times both are done.
	together, burst, repeats int
	// batches of perBatch pods, and as many of the mix, show what the API server spends.
	batches, perBatch int
	// crowded is how many pods the node has in the end, probes how many are attached beside them to see what that costs.
	crowded, probes int
	// blocks are written to the store for the last measurement; 0 leaves it out.
	blocks int
}

// atATime is how many pods a busy kubelet attaches side by side.
const atATime = 10

// bench is the node that is measured on.
type bench struct {
	*testing.T
	effort effort
	node   *node.Node
	tools  string
	proxy  *proxy.Proxy
	all    []contender
	// pods are attached and detached again and again, so that what the kernel does behind a namespace that goes is not in between.
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
	// One pod stays, so that the node is in its steady state: it has a block with room.
	warm, err := n.CreatePod(t.Context(), "warm")
	must(t, err)
	b.call(b.all[0], "ADD", warm)
	b.measureAlone(1)
	return b
}

// call calls a plugin and expects it to succeed.
func (b *bench) call(c contender, verb string, p *node.Pod) spent {
	b.Helper()
	s, err := c.call(verb, p, c.config)
	must(b.T, err)
	return s
}

// probe is one pod more: the last, which nothing else attaches.
func (b *bench) probe() *node.Pod { return b.pods[len(b.pods)-1] }

// traffic is what a call asks of the API server.
type traffic struct {
	requests, rounds, connections, bytes int
	lines                                string
}

// countTraffic counts it, by verb and contender, in a steady state.
func (b *bench) countTraffic() map[string]map[string]traffic {
	b.Helper()
	out := map[string]map[string]traffic{"ADD": {}, "DEL": {}}
	for _, c := range b.all {
		if c.counted == nil {
			continue
		}
		// A node remembers its blocks by the server, and the proxy is another one.
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

// startUp measures how long the programs take to say their version, and hello world to do nothing, in milliseconds.
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

// sizes returns the sizes of the binaries in MB, that of all that is installed as "installed".
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

// growth is how the cost of an ADD and a DEL grows.
type growth struct {
	// few and many are beside one pod and beside as many as a node has; full is beside one pod, when the store is full.
	few, many, full figures
	// nth has what the ADD of the n-th pod took.
	nth sample
	// filled is how long it took to fill the store.
	filled time.Duration
}

// of is how many times longer an ADD takes than beside one pod.
func (g growth) of(to figures, name string) float64 {
	return to["ADD"][name].wall.median() / g.few["ADD"][name].wall.median()
}

func (b *bench) measureGrowth() growth {
	b.Helper()
	g := growth{few: b.measureAlone(b.effort.probes)}
	first := b.all[0]
	others := b.pods[:b.effort.crowded-2] // beside the one that is always there, and the probe
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

// settle is how long the API server is left alone after so many writes: it goes on with them for a while.
const settle = 30 * time.Second

// perNode and held are how many blocks a node of the crowd has, and how many pods a block.
const perNode, held = 4, 3

// fill writes blocks, affinities and handles of many nodes.
func (b *bench) fill() time.Duration {
	b.Helper()
	started := time.Now()
	c, err := crowd.New(b.node.Server.Kubeconfig(), started)
	must(b.T, err)
	cidr := netip.MustParsePrefix("10.0.0.0/9")
	_, err = c.Settle(b.Context(), crowd.Group{
		Nodes: crowd.Names("crowd", b.effort.blocks/perNode), Pool: pool.Pool{Name: "default-ipv4-ippool", CIDR: cidr, BlockSize: 26}, Blocks: perNode, Held: held,
	})
	must(b.T, err)
	return time.Since(started)
}

// result is all that was measured.
type result struct {
	effort               effort
	started              time.Time
	load                 string
	others               float64 // the share of the machine that went elsewhere, in percent
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
		{"one at a time", func() { r.alone = b.measureAlone(b.effort.alone) }},
		{"memory", func() { r.peaks = b.measurePeaks() }},
		{"ten at a time", func() { r.together = b.floods(b.effort.together, atATime) }},
		{"at once", func() { r.burst = b.floods(b.effort.burst, b.effort.burst) }},
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
