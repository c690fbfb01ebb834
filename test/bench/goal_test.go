// SPDX-License-Identifier: Apache-2.0

package bench

import "fmt"

// goal is a row of the table of goals.
type goal struct {
	metric, want, got string
	met               bool
}

// goals compares the measurements with the goals.
func (r result) goals() []goal {
	var out []goal
	// most adds a goal with an upper bound.
	most := func(metric string, got, want float64, unit string) {
		out = append(out, goal{metric, fmt.Sprintf("at most %g%s", want, unit), short(got) + unit, got <= want})
	}
	for _, g := range []struct {
		verb             string
		requests, rounds int
	}{{"ADD", 11, 5}, {"DEL", 9, 5}} {
		got := r.traffic[g.verb][ours]
		out = append(out, goal{
			"requests of " + g.verb + ", steady state",
			fmt.Sprintf("at most %d in %d rounds on 1 connection", g.requests, g.rounds),
			fmt.Sprintf("%d in %d rounds on %d", got.requests, got.rounds, got.connections),
			got.requests > 0 && got.requests <= g.requests && got.rounds <= g.rounds && got.connections == 1,
		})
	}
	most("sequential ADD", r.ratio("ADD").median(), 3, " x baseline")
	most("sequential DEL", r.ratio("DEL").median(), 1.5, " x baseline")
	out = append(out, r.floodGoals()...)
	for _, verb := range verbs {
		most("CPU time of "+verb, r.alone[verb][ours].cpu.median(), 12, " ms")
	}
	for _, verb := range verbs {
		most("peak memory of "+verb, r.peaks[verb][ours].most(), 14, " MiB")
	}
	for _, s := range []struct {
		name string
		want float64
	}{{"calico", 13}, {"calico-ipam", 13}, {"install", 16}, {"installed", 45}} {
		most("size of "+sizeNames[s.name], r.sizes[s.name], s.want, " MB")
	}
	for _, name := range []string{"calico", "calico-ipam"} {
		most("start-up of `"+name+"`", r.startUp[name].over(r.startUp["hello"]).median(), 2.5, " x hello world")
	}
	most("CPU time of API server and etcd for ADD + DEL", r.server.pod[ours].median(), 43, " ms")
	// The baseline makes no API requests, so the machine causes its growth.
	grown := func(metric string, to figures) {
		most(metric, r.growth.of(to, ours), 1.2, " x")
		out[len(out)-1].got += fmt.Sprintf(" (baseline: %s x)", short(r.growth.of(to, peer)))
	}
	grown(fmt.Sprintf("ADD with %d pods on the node, relative to 1 pod", r.effort.crowded), r.growth.many)
	if r.growth.full != nil {
		grown(fmt.Sprintf("ADD with %d blocks, %[1]d affinities and %d handles, relative to a nearly empty store",
			r.effort.blocks, held*r.effort.blocks), r.growth.full)
	}
	return out
}

// sizeNames are the names of the binaries in the page.
var sizeNames = map[string]string{
	"calico": "`calico`", "calico-ipam": "`calico-ipam`", "install": "`install`",
	"installed": "all installed binaries, including the standard plugins",
}

// ratio returns the time of a sequential call relative to the baseline.
func (r result) ratio(verb string) sample {
	return r.alone[verb][ours].wall.over(r.alone[verb][peer].wall)
}

func (r result) floodGoals() []goal {
	var rate, last, slowest sample
	failures := 0
	for _, f := range r.together["ADD"][ours] {
		rate, failures = append(rate, f.perSecond()), failures+len(f.failures)
	}
	for _, f := range r.burst["ADD"][ours] {
		last, slowest, failures = append(last, f.took/1000), append(slowest, f.slowest()), failures+len(f.failures)
	}
	n := r.effort.burst
	return []goal{
		{
			fmt.Sprintf("throughput of %d concurrent ADDs", atATime), "at least 40 pods/s",
			short(rate.median()) + " pods/s",
			rate.median() >= 40,
		},
		{
			fmt.Sprintf("total time of %d concurrent ADDs", n), "at most 4 s", short(last.most()) + " s",
			last.most() <= 4,
		},
		{
			fmt.Sprintf("slowest of %d concurrent ADDs", n), "at most 3 x the median", short(slowest.most()) + " x",
			slowest.most() <= 3,
		},
		{"failures of concurrent ADDs", "none", fmt.Sprint(failures), failures == 0},
	}
}
