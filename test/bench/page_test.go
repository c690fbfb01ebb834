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
	page    = flag.String("page", "", "measure, and write the results to this Markdown file")
	drawing = flag.String("chart", "", "write the chart to this SVG file")
	version = flag.String("version", "", "the project's version, for the page")
	blocks  = flag.Int("blocks", 20_000, "number of blocks in the full store; 0 skips this measurement")
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

// TestPageHasEveryValue makes minimal measurements and expects that no value is missing.
func TestPageHasEveryValue(t *testing.T) {
	r := measure(t, effort{
		starts: 1, alone: 1, peaks: 1, together: 3, burst: 3, repeats: 1, batches: 1, perBatch: 2, crowded: 4,
		probes: 1, blocks: 8,
	}, "")
	text := r.page()
	for _, bad := range []string{"| - |", "NaN", "Inf", "%!"} {
		if strings.Contains(text, bad) {
			t.Errorf("the page contains %q", bad)
		}
	}
	// Results that do not depend on the machine are the same as in a full run.
	for _, g := range r.goals() {
		if strings.HasPrefix(g.metric, "requests") && !g.met {
			t.Errorf("%s: %s, want %s", g.metric, g.got, g.want)
		}
	}
	if n := strings.Count(chart(r.panels()), "<circle"); n < 10 {
		t.Errorf("the chart has only %d dots", n)
	}
	if t.Failed() {
		t.Log("\n" + text)
	}
}

// page returns the whole file.
func (r result) page() string {
	var out strings.Builder
	fmt.Fprintf(&out, `# Performance

`+"`make bench`"+` generated this page on %s with calico-cni %s, %s and Kubernetes %s.
The machine has %d cores, %s of memory and Linux %s. The API server and etcd run on the same machine with their data
in memory. The load average at the start was %s. During the run, other processes and kernel work that belongs to no
process used %.0f %% of the CPU.

`, r.started.UTC().Format(time.DateOnly), r.version, runtime.Version(), r.kubernetes, runtime.NumCPU(), r.ram, r.kernel,
		strings.Join(strings.Fields(r.load)[:3], ", "), r.others)
	if !quiet(r.load) || r.others > noisy {
		out.WriteString("**The machine was not idle. The times are too long, but comparisons between the plugins are " +
			"valid.**\n\n")
	}
	out.WriteString(intro)
	r.writeGoals(&out)
	r.writeAlone(&out)
	r.writeFloods(&out)
	r.writeServer(&out)
	r.writeGrowth(&out)
	return out.String()
}

// noisy is the acceptable CPU time of other processes, in percent. It includes kernel work that belongs to no process,
// such as the removal of interfaces.
const noisy = 15

var intro = strings.ReplaceAll(
	`Each call runs a built binary like a container runtime, for a pod with IPv4. The baseline
is 'ptp' with 'host-local', which keep their state on the local disk and make no API requests. The plugins take turns on
the same pods, in both orders, and ratios are calculated for each pair of calls. Values are medians, with minimum and
maximum in parentheses. With PEER_BIN=DIRECTORY, another 'calico' and 'calico-ipam' are measured with the same
configuration; [performance-history.md](performance-history.md) keeps such runs.

`,
	"'",
	"`",
)

// table writes the header of a table.
func table(out *strings.Builder, columns ...string) {
	fmt.Fprintf(out, "| %s |\n|%s\n", strings.Join(columns, " | "), strings.Repeat(" --- |", len(columns)))
}

func (r result) writeGoals(out *strings.Builder) {
	out.WriteString("## Goals\n\n")
	table(out, "metric", "goal", "measured", "")
	for _, g := range r.goals() {
		fmt.Fprintf(out, "| %s | %s | %s | %s |\n", g.metric, g.want, g.got,
			map[bool]string{true: "met", false: "**not met**"}[g.met])
	}
}

func (r result) writeAlone(out *strings.Builder) {
	fmt.Fprintf(out, "\n## Sequential calls\n\n%d calls each. CPU is the user and system time of the process and its "+
		"children. Memory is the peak of the largest process.\n\n", r.effort.alone)
	table(out, "", "p50, ms", "p90, ms", "relative to baseline", "CPU, ms", "peak memory, MiB")
	for _, verb := range verbs {
		for _, name := range r.contenders {
			s := r.alone[verb][name]
			fmt.Fprintf(out, "| %s, %s | %s | %s | %s | %s | %s |\n", verb, name, s.wall, short(s.wall.quantile(0.9)),
				s.wall.over(r.alone[verb][peer].wall), s.cpu, r.peaks[verb][name])
		}
	}
	fmt.Fprintf(out, "\n![distributions](performance.svg)\n\n## Start-up\n\nThe time of VERSION, compared with a hello "+
		"world program, %d runs each.\n\n", r.effort.starts)
	table(out, "", "ms", "relative to hello world")
	for _, name := range []string{"hello", "calico", "calico-ipam", "ptp"} {
		fmt.Fprintf(out, "| `%s` | %s | %s |\n", name, r.startUp[name], r.startUp[name].over(r.startUp["hello"]))
	}
}

func (r result) writeFloods(out *strings.Builder) {
	fmt.Fprintf(out, "\n## Concurrent calls\n\nThe medians of %d runs. *CPU* is the utilization of the machine. The last "+
		"three columns divide the CPU time per pod, in\nmilliseconds: the plugin, the API server with etcd, and all else "+
		"(the kernel, the benchmark, other processes).\n\n", r.effort.repeats)
	table(out, "", "pods/s", "total, s", "p50, ms", "slowest / p50", "failed", "CPU", "plugin", "server", "other")
	for _, s := range []struct {
		name   string
		floods map[string]map[string][]flood
	}{
		{fmt.Sprintf("%d pods, %d concurrent", r.effort.together, atATime), r.together},
		{fmt.Sprintf("%d pods, all concurrent", r.effort.burst), r.burst},
	} {
		for _, verb := range verbs {
			for _, name := range r.contenders {
				fmt.Fprintf(out, "| %s, %s, %s |%s\n", s.name, verb, name, floodCells(s.floods[verb][name]))
			}
		}
	}
	out.WriteString(r.bound())
}

// bound describes what limits the throughput of calico.
func (r result) bound() string {
	var used clock
	took, n := 0.0, 0.0
	for _, f := range r.together["ADD"][ours] {
		used.machine += f.used.machine
		used.plugins += f.used.plugins
		used.server += f.used.server
		took, n = took+f.took, n+float64(len(f.each))
	}
	busy := 100 * used.machine / took / float64(runtime.NumCPU())
	if busy < saturated {
		return fmt.Sprintf("\nWith %d concurrent ADDs of calico, %.0f %% of the CPU is idle, so the CPU does not limit the "+
			"throughput.\n", atATime, 100-busy)
	}
	return fmt.Sprintf("\nWith %d concurrent ADDs of calico, %.0f %% of the CPU is used, so the CPU limits the "+
		"throughput. Of %s ms per\npod, the plugin uses %s ms and the server %s ms.\n",
		atATime, busy, short(used.machine/n), short(used.plugins/n), short(used.server/n))
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
## API server

The reference is a sequence of %d plain requests on one connection: a ConfigMap of 1 kB is created, read %d times,
replaced, read %d times, replaced, and deleted. kB counts the bodies of requests and responses. CPU is the time of the
API server and etcd minus their idle consumption of %s ms per second, the median of %d batches of %d pods.

`, mixGets+4, mixGets/2, mixGets/2, short(r.server.idle), r.effort.batches, r.effort.perBatch)
	table(out, "", "requests", "rounds", "connections", "kB", "CPU of ADD + DEL, ms", "relative to reference")
	for _, name := range r.contenders {
		if add, del := r.traffic["ADD"][name], r.traffic["DEL"][name]; add.requests > 0 {
			fmt.Fprintf(out, "| %s, ADD, DEL | %d, %d | %d, %d | %d, %d | %.1f, %.1f | %s | %s |\n", name, add.requests,
				del.requests, add.rounds, del.rounds, add.connections, del.connections, float64(add.bytes)/1000,
				float64(del.bytes)/1000, r.server.pod[name], r.server.pod[name].over(r.server.mix))
		}
	}
	fmt.Fprintf(out, "| reference | %d | | | | %s | |\n", mixGets+4, r.server.mix)
}

func (r result) writeGrowth(out *strings.Builder) {
	fmt.Fprintf(out, "\n## Scaling\n\nThe time of a call in milliseconds, %d calls each.", r.effort.probes)
	if r.growth.full != nil {
		fmt.Fprintf(out, " The full store contains %d blocks, %[1]d affinities and %d handles\nof %d nodes. Filling it took "+
			"%.0f s.", r.effort.blocks, held*r.effort.blocks, r.effort.blocks/perNode, r.growth.filled.Seconds())
	}
	out.WriteString("\n\n")
	table(out, "", "1 other pod on the node", fmt.Sprintf("%d other pods", r.effort.crowded-1), "full store")
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
		p := panel{title: verb + ", sequential: ms"}
		for _, name := range r.contenders {
			p.rows = append(p.rows, row{name, r.alone[verb][name].wall})
		}
		out = append(out, p)
	}
	p := panel{title: fmt.Sprintf("ADD, %d concurrent: completion time, ms", r.effort.burst)}
	for _, name := range r.contenders {
		runs := slices.Clone(r.burst["ADD"][name])
		slices.SortFunc(runs, func(a, b flood) int { return int(a.took - b.took) })
		p.rows = append(p.rows, row{name + " (median run)", runs[len(runs)/2].done})
	}
	n := panel{
		title: fmt.Sprintf("ADD of pod 1 to %d on the node: ms", r.effort.crowded),
		rows:  []row{{ours, r.growth.nth}},
	}
	return append(out, p, n)
}
