// SPDX-License-Identifier: Apache-2.0

package benchipam

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// large is the cluster of the table.
var large = size{
	nodes: 5000, blocks: 4, held: 3, wide: "10.0.0.0/9", third: "10.128.0.0/11", small: 18, huge: 14, counted: 5,
	timed: 5,
}

var (
	table   = flag.String("table", "", "measure in a cluster of 5,000 nodes, and write the table to this file")
	version = flag.String("version", "", "the project's version, for the table")
)

// TestTable writes docs/ipam-cost.md.
func TestTable(t *testing.T) {
	if *table == "" {
		t.Skip("slow: run make bench-ipam")
	}
	b := newBench(t, large)
	empty := b.measureAll()
	f := b.fill()
	full := b.measureAll()
	kubernetes, err := b.node.Server.Client().Discovery().ServerVersion()
	must(t, err)
	page := page(empty, full, f, large, kubernetes.GitVersion)
	must(t, os.WriteFile(*table, []byte(page), 0o644))
	t.Log("\n" + page)
}

// page returns the whole file.
func page(empty, full []row, f filled, s size, kubernetes string) string {
	var out strings.Builder
	fmt.Fprintf(&out, `# Cost of an allocation for the API server

`+"`make bench-ipam`"+` generated this page on %s with calico-cni %s, %s and Kubernetes %s.
The machine has %d cores and %s of memory. The API server and etcd run on the same machine.

Each call runs the built binary on a separate node. All calls are measured in two clusters: a nearly empty one, and one
with %d blocks, %[7]d affinities and %[8]d handles of %[9]d nodes, and the objects of earlier measurements.
Filling it took %.0f s. The nodes claimed their blocks like the plugins, in two pools: %.1f %% of the blocks of the first
pool are claimed, and %.1f %% of the second. A cell of the table shows the nearly empty cluster and the full cluster.

- *Requests* and *kB*: the mean of %d calls, and the maximum in parentheses if it differs. kB counts the bodies of
  requests and responses, as transferred (possibly compressed), in a proxy in front of the server.
- *Rounds*: the number of requests that had to wait for each other, maximum.
- *Scanned*: the number of objects that the server read to answer the lists of a call, from its metrics.
- *ms*: the median of %d calls without the proxy, including the start of the process. It depends on the machine.

ADDs that claim a block, and the first ADD after a boot, include the check for overlapping blocks
([decision 0030](decisions/0030-blocks-do-not-overlap.md)). It is one list of names in the nearly empty cluster, and a
request for each of 132 names in the full cluster.

| situation | requests | rounds | kB | scanned | ms |
| --- | --- | --- | --- | --- | --- |
`, time.Now().UTC().Format(time.DateOnly), *version, runtime.Version(), kubernetes, runtime.NumCPU(), memory(),
		f.blocks, f.handles, s.nodes, f.took.Seconds(), f.share[wide], f.share[third], s.counted, s.timed)
	for i := range empty {
		fmt.Fprintf(&out, "| %s | %s | %s | %s | %s | %s |\n", empty[i].name,
			pair(empty[i].requestsText(), full[i].requestsText()),
			pair(fmt.Sprint(empty[i].most().rounds), fmt.Sprint(full[i].most().rounds)),
			pair(empty[i].bytesText(), full[i].bytesText()),
			pair(fmt.Sprintf("%.0f", empty[i].scanned), fmt.Sprintf("%.0f", full[i].scanned)),
			pair(fmt.Sprint(empty[i].median().Milliseconds()), fmt.Sprint(full[i].median().Milliseconds())))
	}
	return out.String()
}

// pair formats the values of the empty and the full cluster.
func pair(empty, full string) string { return empty + " → " + full }

func (c cost) requestsText() string {
	mean, _ := c.mean()
	return withMost(fmt.Sprintf("%.1f", mean), fmt.Sprintf("%.1f", float64(c.most().requests)))
}

func (c cost) bytesText() string {
	_, mean := c.mean()
	return withMost(fmt.Sprintf("%.1f", mean/1000), fmt.Sprintf("%.1f", float64(c.most().bytes)/1000))
}

// withMost appends the maximum to a mean if they differ.
func withMost(mean, most string) string {
	mean, most = strings.TrimSuffix(mean, ".0"), strings.TrimSuffix(most, ".0")
	if mean == most {
		return mean
	}
	return mean + " (" + most + ")"
}

// memory returns the memory size of the machine.
func memory() string {
	var kB float64
	data, err := os.ReadFile("/proc/meminfo")
	if err == nil {
		_, err = fmt.Sscanf(string(data), "MemTotal: %f kB", &kB)
	}
	if err != nil {
		return "an unknown amount"
	}
	return fmt.Sprintf("%.0f GB", kB/1e6)
}
