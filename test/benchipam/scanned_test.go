// SPDX-License-Identifier: Apache-2.0

package benchipam

import (
	"bufio"
	"bytes"
	"strconv"
	"strings"
)

// scanned returns how many of our objects the server has scanned so far to answer lists, in its cache and in etcd. This
// is the cost of a list, however few objects the selector matches.
func (b *bench) scanned() float64 {
	b.Helper()
	metrics, err := b.node.Server.Client().Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(b.Context())
	must(b.T, err)
	var sum float64
	lines := bufio.NewScanner(bytes.NewReader(metrics))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		name, labels, _ := strings.Cut(lines.Text(), "{")
		ours := name == "apiserver_cache_list_fetched_objects_total" ||
			name == "apiserver_storage_list_fetched_objects_total"
		labels, value, _ := strings.Cut(labels, "} ")
		if !ours || !strings.Contains(labels, `"crd.projectcalico.org"`) {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		must(b.T, err)
		sum += n
	}
	must(b.T, lines.Err())
	return sum
}
