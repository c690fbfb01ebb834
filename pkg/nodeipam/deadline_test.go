// SPDX-License-Identifier: Apache-2.0

package nodeipam

import (
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"calico-cni/pkg/kube"
)

// TestOwnDeadlineIsNotAnOutage settles with a shorter deadline than the API server needs to answer.
func TestOwnDeadlineIsNotAnOutage(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer server.Close()
	client, err := kube.Direct{Server: server.URL}.Client("test")
	if err != nil {
		t.Fatal(err)
	}
	w := newCluster(t)
	n := w.node(t)
	n.Connect = func() (Connection, error) { return client, nil }
	if err := n.Disk.queue().Add(queuedFor("", "")); err != nil {
		t.Fatal(err)
	}
	p := n.pace()
	p.Random = func() float64 { return 0 }
	if ready, err := p.Reached(); !ready || err != nil {
		t.Fatal(ready, err)
	}
	n.Releases().settleUpTo(t.Context(), settleFew, 100*time.Millisecond)
	if _, err := os.Stat(p.File); err != nil {
		t.Errorf("the deadline of the caller counts as an outage: %v", err)
	}
}
