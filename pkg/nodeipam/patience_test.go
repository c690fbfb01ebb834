package nodeipam

import (
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"calico-cni/pkg/kube"
	"calico-cni/pkg/pending"
)

// TestEndOfOwnTimeIsNoOutage settles with less time than the API server takes to answer.
func TestEndOfOwnTimeIsNoOutage(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer server.Close()
	client, err := kube.Direct{Server: server.URL}.Client("test")
	if err != nil {
		t.Fatal(err)
	}
	w := newCluster(t)
	c := w.command()
	c.Client, c.Keep, c.State = client, t.TempDir(), t.TempDir()
	if err := c.queue().Add(pending.Release{Network: "net", ContainerID: "c1", IfName: "eth0"}); err != nil {
		t.Fatal(err)
	}
	p := c.pace()
	p.Random = func() float64 { return 0 }
	if !p.Reached() {
		t.Fatal("not reached")
	}
	c.settleUpTo(t.Context(), settleFew, 100*time.Millisecond)
	if _, err := os.Stat(p.File); err != nil {
		t.Errorf("the command's own patience is taken for an outage: %v", err)
	}
}
