// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	page    = flag.String("page", "", "measure, and write the figures to this Markdown file and the chart beside it")
	drawing = flag.String("chart", "", "write the chart to this SVG file")
	version = flag.String("version", "", "the project's version, for the page")
	blocks  = flag.Int("blocks", 20_000, "how many blocks to write to the store for the last figure; 0 leaves it out")
)

// TestPage writes docs/performance.md.
func TestPage(t *testing.T) {
	if *page == "" {
		t.Skip("slow: run make bench")
	}
	r := measure(t, effort{
		starts: 60, alone: 60, peaks: 10, together: 100, burst: 100, repeats: 5, batches: 7, perBatch: 20, crowded: 110,
		probes: 25, blocks: *blocks,
	}, *version)
	text := r.page()
	must(t, os.WriteFile(*page, []byte(text), 0o644))
	must(t, os.WriteFile(*drawing, []byte(chart(r.panels())), 0o644))
	t.Log("\n" + text)
}

// TestMeasurementsWork makes minimal measurements and expects a figure in each place.
func TestMeasurementsWork(t *testing.T) {
	r := measure(t, effort{
		starts: 1, alone: 1, peaks: 1, together: 3, burst: 3, repeats: 1, batches: 1, perBatch: 2, crowded: 4,
		probes: 1, blocks: 8,
	}, "")
	text := r.page()
	for _, bad := range []string{"| - |", "NaN", "Inf", "%!"} {
		if strings.Contains(text, bad) {
			t.Errorf("the page has %q in it", bad)
		}
	}
	// Results that do not depend on the machine are the same as in a full run.
	for _, g := range r.goals() {
		if strings.HasPrefix(g.figure, "requests") && !g.reached {
			t.Errorf("%s: %s, want %s", g.figure, g.got, g.want)
		}
	}
	if n := strings.Count(chart(r.panels()), "<circle"); n < 10 {
		t.Errorf("the chart has %d dots", n)
	}
	if t.Failed() {
		t.Log("\n" + text)
	}
}

// page returns the whole file.
func (r result) page() string {
	var out strings.Builder
	fmt.Fprintf(&out, `# Performance

Written by `+"`make bench`"+` on %s: %d cores, %s of memory, Linux %s, API server and etcd on the same machine, their data in memory;
%s, Kubernetes %s, calico-cni %s. The load average at the start was %s; during the run, %.0f %% of the machine's CPU
went to other processes, and to the kernel on nobody's account.

`, r.started.UTC().Format(time.DateOnly), runtime.NumCPU(), r.ram, r.kernel, runtime.Version(), r.kubernetes, r.version,
		strings.Join(strings.Fields(r.load)[:3], ", "), r.others)
	if !quiet(r.load) || r.others > noisy {
		out.WriteString("**The machine was not quiet: other work ran beside this. Times are too long; what is " +
			"compared side by side still can be.**\n\n")
	}
	out.WriteString(intro)
	r.writeGoals(&out)
	r.writeAlone(&out)
	r.writeFloods(&out)
	r.writeServer(&out)
	r.writeGrowth(&out)
	return out.String()
}

// noisy is the acceptable CPU time of others in percent. The kernel removes interfaces without attributing the time to
// a process.
const noisy = 15

const intro = `Every call is one run of a built binary, as a runtime makes it, for a pod with IPv4. Held against it is ` + "`ptp`" + ` with
` + "`host-local`" + `, which keep everything on the local disk and ask no API server. The plugins take turns, in both orders,
on the same pods. Ratios are taken pair by pair. A figure is a median, with the least and the most in parentheses.
With PEER_BIN=directory another ` + "`calico`" + ` and ` + "`calico-ipam`" + ` take part, with the same configuration.

`

// table writes the header of a table.
func table(out *strings.Builder, columns ...string) {
	fmt.Fprintf(out, "| %s |\n|%s\n", strings.Join(columns, " | "), strings.Repeat(" --- |", len(columns)))
}

func (r result) writeGoals(out *strings.Builder) {
	out.WriteString("## Goals\n\n")
	table(out, "figure", "goal", "measured", "")
	for _, g := range r.goals() {
		fmt.Fprintf(out, "| %s | %s | %s | %s |\n", g.figure, g.want, g.got,
			map[bool]string{true: "reached", false: "**not reached**"}[g.reached])
	}
}

func (r result) writeAlone(out *strings.Builder) {
	fmt.Fprintf(out, "\n## One at a time\n\n%d times each. CPU is that of the process and its children, user and "+
		"system; memory that of the largest process.\n\n", r.effort.alone)
	table(out, "", "ms, p50", "p90", "to ptp + host-local", "CPU ms", "peak MiB")
	for _, verb := range verbs {
		for _, name := range r.contenders {
			s := r.alone[verb][name]
			fmt.Fprintf(out, "| %s, %s | %s | %s | %s | %s | %s |\n", verb, name, s.wall, short(s.wall.quantile(0.9)),
				s.wall.over(r.alone[verb][peer].wall), s.cpu, r.peaks[verb][name])
		}
	}
	fmt.Fprintf(out, "\n![distributions](performance.svg)\n\n## Start\n\nVERSION, and a hello world that does "+
		"nothing, %d times each.\n\n", r.effort.starts)
	table(out, "", "ms", "to hello world")
	for _, name := range []string{"hello", "calico", "calico-ipam", "ptp"} {
		fmt.Fprintf(out, "| `%s` | %s | %s |\n", name, r.startUp[name], r.startUp[name].over(r.startUp["hello"]))
	}
}

func (r result) writeFloods(out *strings.Builder) {
	fmt.Fprintf(out, "\n## Many at a time\n\nSo many pods side by side, %d times over. *Busy* is how much of the "+
		"machine's CPU was used meanwhile; behind it, where a pod's share of\n"+
		"that went, in milliseconds. What is not the plugin's or the server's is the kernel's, this program's and "+
		"others'.\n\n", r.effort.repeats)
	table(out, "", "pods/s", "last done, s", "p50, ms", "slowest to p50", "failed", "busy", "plugin", "server", "rest")
	for _, s := range []struct {
		name   string
		floods map[string]map[string][]flood
	}{
		{fmt.Sprintf("%d pods, %d at a time", r.effort.together, atATime), r.together},
		{fmt.Sprintf("%d pods at once", r.effort.burst), r.burst},
	} {
		for _, verb := range verbs {
			for _, name := range r.contenders {
				fmt.Fprintf(out, "| %s, %s, %s |%s\n", s.name, verb, name, floodCells(s.floods[verb][name]))
			}
		}
	}
	out.WriteString(r.bound())
}

// bound says what limits the rate at which calico attaches pods.
func (r result) bound() string {
	var used clock
	took, n := 0.0, 0.0
	for _, f := range r.together["ADD"][ours] {
		used.machine, used.plugins, used.server = used.machine+f.used.machine, used.plugins+f.used.plugins, used.server+f.used.server
		took, n = took+f.took, n+float64(len(f.each))
	}
	busy := 100 * used.machine / took / float64(runtime.NumCPU())
	if busy < saturated {
		return fmt.Sprintf("\nTen at a time leave the machine idle for %.0f %% of the time: it is not the CPU that "+
			"bounds calico's ADD.\n", 100-busy)
	}
	return fmt.Sprintf("\nTen at a time keep the machine %.0f %% busy: the CPU bounds calico's ADD. Of %s ms a pod, "+
		"the plugin takes %s and the server %s.\n",
		busy, short(used.machine/n), short(used.plugins/n), short(used.server/n))
}

// saturated is the percentage of CPU time that counts as full use of the machine.
const saturated = 90

func floodCells(floods []flood) string {
	var rate, last, p50, slowest, busy, plugin, server, rest sample
	failures := 0
	for _, f := range floods {
		n := float64(len(f.each))
		rate, last, p50, slowest = append(rate, f.perSecond()), append(last, f.took/1000), append(p50,
			f.each.median()), append(slowest, f.slowest())
		busy = append(busy, 100*f.used.machine/f.took/float64(runtime.NumCPU()))
		plugin, server = append(plugin, f.used.plugins/n), append(server, f.used.server/n)
		rest = append(rest, (f.used.others()+f.used.own)/n)
		failures += len(f.failures)
	}
	return fmt.Sprintf(" %s | %s | %s | %s | %d | %.0f %% | %s | %s | %s |", rate, last, p50, slowest, failures,
		busy.median(),
		short(plugin.median()), short(server.median()), short(rest.median()))
}

func (r result) writeServer(out *strings.Builder) {
	fmt.Fprintf(out, `
## The API server

The mix is %d requests, one after the other on one connection that is kept: a ConfigMap of 1 kB is created, read %d times,
replaced, read %d times, replaced, and deleted. Bytes are those of the bodies. CPU is the API server's with etcd, beyond the
%s ms of each second that they spend when nobody asks; %d times %d pods.

`, mixGets+4, mixGets/2, mixGets/2, short(r.server.idle), r.effort.batches, r.effort.perBatch)
	table(out, "", "requests", "rounds", "connections", "kB", "CPU ms, ADD and DEL", "to the mix")
	for _, name := range r.contenders {
		if add, del := r.traffic["ADD"][name], r.traffic["DEL"][name]; add.requests > 0 {
			fmt.Fprintf(out, "| %s, ADD, DEL | %d, %d | %d, %d | %d, %d | %.1f, %.1f | %s | %s |\n", name, add.requests,
				del.requests, add.rounds, del.rounds,
				add.connections, del.connections, float64(add.bytes)/1000, float64(del.bytes)/1000, r.server.pod[name], r.server.pod[name].over(r.server.mix))
		}
	}
	fmt.Fprintf(out, "| the mix | %d | | | | %s | |\n", mixGets+4, r.server.mix)
}

func (r result) writeGrowth(out *strings.Builder) {
	fmt.Fprintf(out, "\n## How cost grows\n\nMilliseconds, %d times each.", r.effort.probes)
	if r.growth.full != nil {
		fmt.Fprintf(out, " The full store has %d blocks and affinities and %d handles of %d nodes in it; to fill it "+
			"took %.0f s.",
			r.effort.blocks, held*r.effort.blocks, r.effort.blocks/perNode, r.growth.filled.Seconds())
	}
	out.WriteString("\n\n")
	table(out, "", "1 other pod on the node", fmt.Sprintf("%d others", r.effort.crowded-1), "full store")
	for _, verb := range verbs {
		for _, name := range r.contenders {
			full := "not measured"
			if r.growth.full != nil {
				full = r.growth.full[verb][name].wall.String()
			}
			fmt.Fprintf(out, "| %s, %s | %s | %s | %s |\n", verb, name, r.growth.few[verb][name].wall,
				r.growth.many[verb][name].wall, full)
		}
	}
}

// panels returns the panels of the chart.
func (r result) panels() []panel {
	var out []panel
	for _, verb := range verbs {
		p := panel{title: verb + ", one at a time: milliseconds"}
		for _, name := range r.contenders {
			p.rows = append(p.rows, row{name, r.alone[verb][name].wall})
		}
		out = append(out, p)
	}
	p := panel{title: fmt.Sprintf("ADD of %d pods at once: when each was done, milliseconds", r.effort.burst)}
	for _, name := range r.contenders {
		runs := slices.Clone(r.burst["ADD"][name])
		slices.SortFunc(runs, func(a, b flood) int { return int(a.took - b.took) })
		p.rows = append(p.rows, row{name + " (median run)", runs[len(runs)/2].done})
	}
	n := panel{
		title: fmt.Sprintf("ADD of the 1st to the %dth pod of the node: milliseconds", r.effort.crowded),
		rows:  []row{{ours, r.growth.nth}},
	}
	return append(out, p, n)
}
