// SPDX-License-Identifier: Apache-2.0

package bench

import "fmt"

// goal is one line of the table of goals.
type goal struct {
	figure, want, got string
	reached           bool
}

// goals compares the measurements with the goals.
func (r result) goals() []goal {
	var out []goal
	// most adds a goal with an upper bound.
	most := func(figure string, got, want float64, unit string) {
		out = append(out, goal{figure, fmt.Sprintf("at most %g%s", want, unit), short(got) + unit, got <= want})
	}
	for _, g := range []struct {
		verb             string
		requests, rounds int
	}{{"ADD", 11, 5}, {"DEL", 9, 5}} {
		got := r.traffic[g.verb][ours]
		out = append(out, goal{
			"requests of a steady " + g.verb, fmt.Sprintf("at most %d, in %d rounds, on 1 connection", g.requests,
				g.rounds),
			fmt.Sprintf("%d, in %d, on %d", got.requests, got.rounds, got.connections),
			got.requests > 0 && got.requests <= g.requests && got.rounds <= g.rounds && got.connections == 1,
		})
	}
	most("ADD, one at a time", r.ratio("ADD").median(), 3, " x ptp + host-local")
	most("DEL, one at a time", r.ratio("DEL").median(), 1.5, " x ptp + host-local")
	out = append(out, r.floodGoals()...)
	for _, verb := range verbs {
		most("CPU of one "+verb, r.alone[verb][ours].cpu.median(), 12, " ms")
	}
	for _, verb := range verbs {
		most("peak memory of one "+verb, r.peaks[verb][ours].most(), 14, " MiB")
	}
	for _, s := range []struct {
		name string
		want float64
	}{{"calico", 13}, {"calico-ipam", 13}, {"install", 16}, {"installed", 45}} {
		most("size of "+sizeNames[s.name], r.sizes[s.name], s.want, " MB")
	}
	for _, name := range []string{"calico", "calico-ipam"} {
		most("start of `"+name+"` (VERSION)", r.startUp[name].over(r.startUp["hello"]).median(), 2.5, " x hello world")
	}
	most("API server and etcd, CPU of one pod's ADD and DEL", r.server.pod[ours].median(), 43, " ms")
	// The peer makes no API requests, so its growth is caused by the machine.
	grown := func(what string, to figures) {
		most(what, r.growth.of(to, ours), 1.2, " x")
		out[len(out)-1].got += fmt.Sprintf(" (%s: %s x)", peer, short(r.growth.of(to, peer)))
	}
	grown(fmt.Sprintf("ADD with %d pods on the node, to that with 1", r.effort.crowded), r.growth.many)
	if r.growth.full != nil {
		grown(fmt.Sprintf("ADD with %d blocks, affinities and %d handles in the store, to that with "+
			"next to none",
			r.effort.blocks, held*r.effort.blocks), r.growth.full)
	}
	return out
}

// sizeNames are the names of the binaries in the page.
var sizeNames = map[string]string{
	"calico": "`calico`", "calico-ipam": "`calico-ipam`", "install": "`install`",
	"installed": "everything installed, the standard plugins included",
}

// ratio returns the time of a verb, one at a time, relative to that of ptp.
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
			fmt.Sprintf("ADD, %d at a time", atATime), "at least 40 pods/s", short(rate.median()) + " pods/s",
			rate.median() >= 40,
		},
		{fmt.Sprintf("ADD, %d at once: the last done", n), "within 4 s", short(last.most()) + " s", last.most() <= 4},
		{
			fmt.Sprintf("ADD, %d at once: the slowest", n), "at most 3 x the median", short(slowest.most()) + " x",
			slowest.most() <= 3,
		},
		{"many at a time: failures", "none", fmt.Sprint(failures), failures == 0},
	}
}
