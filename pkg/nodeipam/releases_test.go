// SPDX-License-Identifier: Apache-2.0

package nodeipam

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"calico-cni/pkg/pending"
	"calico-cni/pkg/workload"
)

// nodeOf returns a node of an API server, with an empty queue. Its host has the kubeconfigs /a and /b.
func nodeOf(t *testing.T, server Server) (n *Node, clock *time.Duration) {
	t.Helper()
	clock = new(time.Duration)
	*clock = time.Hour
	return &Node{
		Network: "net", Server: server, Log: slog.New(slog.DiscardHandler),
		Disk: Disk{Now: time.Now, Boot: func() time.Duration { return *clock }, Keep: t.TempDir(), State: t.TempDir()},
		ReadFile: func(path string) ([]byte, error) {
			if path == "/a" || path == "/b" {
				return []byte("kubeconfig"), nil
			}
			return nil, fs.ErrNotExist
		},
		Name:    func() (string, error) { return "", fs.ErrNotExist },
		Connect: func() (Connection, error) { return nil, nil },
	}, clock
}

// c1 is the attachment whose release is queued.
var c1 = workload.ID{ContainerID: "c1", IfName: "eth0"}

func withKubeconfig(path string) Server { return Server{Kubeconfig: path} }

func withRoot(url string) Server { return Server{APIRoot: url} }

func TestReleaseBelongsToNamedCluster(t *testing.T) {
	for _, tt := range []struct {
		name    string
		server  Server
		release pending.Release
		want    bool
	}{
		{"the same kubeconfig", withKubeconfig("/a"), pending.Release{Kubeconfig: "/a"}, true},
		{"another kubeconfig", withKubeconfig("/a"), pending.Release{Kubeconfig: "/b"}, false},
		{"another kubeconfig that is gone", withKubeconfig("/a"), pending.Release{Kubeconfig: "/gone"}, true},
		{"nothing named", withKubeconfig("/a"), pending.Release{}, true},
		{"a URL", withKubeconfig("/a"), pending.Release{APIRoot: "https://a"}, false},
		{"the same URL", withRoot("https://a"), pending.Release{APIRoot: "https://a"}, true},
		{"another URL", withRoot("https://a"), pending.Release{APIRoot: "https://b"}, false},
		{"a kubeconfig, the command has a URL", withRoot("https://a"), pending.Release{Kubeconfig: "/b"}, false},
		{"nothing named, the command has a URL", withRoot("https://a"), pending.Release{}, true},
	} {
		c, _ := nodeOf(t, tt.server)
		if got := c.Releases().belongsHere(tt.release); got != tt.want {
			t.Errorf("%s: %t, want %t", tt.name, got, tt.want)
		}
	}
}

// TestBatchKeepsReleasesOfOtherCluster queues a release for another API server. The node has no client, so that a
// request panics.
func TestBatchKeepsReleasesOfOtherCluster(t *testing.T) {
	for name, settle := range map[string]func(*Node){
		"a few": func(c *Node) { c.Releases().SettleSome(context.Background()) },
		"all":   func(c *Node) { c.Releases().SettleAll(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if r := recover(); r != nil {
					t.Errorf("settled by the wrong API server: %v", r)
				}
			}()
			c, clock := nodeOf(t, withKubeconfig("/b"))
			if err := c.Disk.queue().Add(queuedFor("/a", "")); err != nil {
				t.Fatal(err)
			}
			c.mayStartSettling()
			*clock += time.Hour
			settle(c)
			if n, err := c.Disk.queue().Len(); n != 1 || err != nil {
				t.Errorf("%d releases wait, %v; want 1", n, err)
			}
		})
	}
}

// TestOutageOfOneClusterDoesNotDelayOther simulates DELs of a network whose API server is gone, more often than the
// delay of a node after an outage.
func TestOutageOfOneClusterDoesNotDelayOther(t *testing.T) {
	live, clock := nodeOf(t, withKubeconfig("/live"))
	dead := &Node{Disk: live.Disk, Server: Server{Kubeconfig: "/dead"}, Log: live.Log}
	live.mayStartSettling()
	for range 4 {
		*clock += 20 * time.Second
		dead.pace().Lost()
	}
	if !live.mayStartSettling() {
		t.Error("the releases of the reachable cluster are delayed after 80 s")
	}
}

func queuedFor(kubeconfig, apiRoot string) pending.Release {
	return pending.Release{
		Network: "net", ContainerID: "c1", IfName: "eth0", Node: "n1", Kubeconfig: kubeconfig, APIRoot: apiRoot,
		Others: NoOthers,
	}
}

// TestDelThatDeletedHandleRemovesRelease uses a DEL with another kubeconfig than the queued release.
func TestDelThatDeletedHandleRemovesRelease(t *testing.T) {
	c, _ := nodeOf(t, withKubeconfig("/b"))
	if err := c.Disk.queue().Add(queuedFor("/a", "")); err != nil {
		t.Fatal(err)
	}
	c.Releases().Settled(context.Background(), c1, Freed{All: true})
	if n, err := c.Disk.queue().Len(); n != 0 || err != nil {
		t.Errorf("%d releases wait, %v; want none", n, err)
	}
}

// TestReleaseOfOtherClusterIsKeptUntilHandleIsFound settles the queued release of a container. With another kubeconfig
// the node may use another cluster, so that a missing handle proves nothing.
func TestReleaseOfOtherClusterIsKeptUntilHandleIsFound(t *testing.T) {
	for _, tt := range []struct {
		name, kubeconfig, apiRoot string
		found                     bool
		kept                      bool
	}{
		{"missing kubeconfig, handle found", "/gone", "", true, false},
		{"missing kubeconfig, handle not found", "/gone", "", false, true},
		{"another kubeconfig, handle found", "/b", "", true, false},
		{"another kubeconfig, handle not found", "/b", "", false, true},
		{"a URL, handle not found", "", "https://b", false, true},
		{"the same kubeconfig, handle not found", "/a", "", false, false},
		{"nothing named, handle not found", "", "", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newCluster(t)
			if tt.found {
				w.add("n1", "eth0")
			}
			c, _ := nodeOf(t, withKubeconfig("/a"))
			queue := pending.Queue{Dir: filepath.Join(t.TempDir(), "pending"), Now: w.Now}
			if err := queue.Add(queuedFor(tt.kubeconfig, tt.apiRoot)); err != nil {
				t.Fatal(err)
			}
			err := (pending.Settler{Queue: queue}).SettleContainer(t.Context(), "net", "c1", w.settle(c))
			waiting, _ := queue.Len()
			if kept := waiting == 1; kept != tt.kept || errors.Is(err, ErrOtherCluster) != tt.kept || w.held() != "" {
				t.Errorf("kept %t, %v, held %q; want kept %t", kept, err, w.held(), tt.kept)
			}
		})
	}
}

// TestQueuedReleasesOfTwoClustersCoexist queues releases of one attachment by DELs with two kubeconfigs.
func TestQueuedReleasesOfTwoClustersCoexist(t *testing.T) {
	a, _ := nodeOf(t, withKubeconfig("/a"))
	b, _ := nodeOf(t, withKubeconfig("/b"))
	b.Disk = a.Disk
	outage := context.DeadlineExceeded
	for _, c := range []*Node{a, b, a, b} {
		evidence := Evidence{Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.1")}}
		if err := c.Releases().Postpone(outage, &Deletion{node: c, id: c1}, evidence, false, nil); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := a.Disk.queue().Len(); n != 2 || err != nil {
		t.Errorf("%d releases wait, %v; want one of each cluster", n, err)
	}
}
