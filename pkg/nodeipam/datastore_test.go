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

	"calico-cni/pkg/netconf"
	"calico-cni/pkg/pending"
	"calico-cni/pkg/workload"
)

// configured returns a command of a host that has the files /a and /b, with an empty queue.
func configured(t *testing.T, conf netconf.NetConf) (c *Command, clock *time.Duration) {
	t.Helper()
	clock = new(time.Duration)
	*clock = time.Hour
	conf.Name = "net"
	return &Command{
		Host: Host{
			Now: time.Now, Boot: func() time.Duration { return *clock }, Keep: t.TempDir(), State: t.TempDir(),
			ReadFile: func(path string) ([]byte, error) {
				if path == "/a" || path == "/b" {
					return []byte("kubeconfig"), nil
				}
				return nil, fs.ErrNotExist
			},
		},
		Conf: &conf, ID: workload.ID{ContainerID: "c1", IfName: "eth0"}, Log: slog.New(slog.DiscardHandler),
	}, clock
}

func withKubeconfig(path string) netconf.NetConf {
	return netconf.NetConf{Kubernetes: netconf.Kubernetes{Kubeconfig: path}}
}

func withRoot(url string) netconf.NetConf {
	return netconf.NetConf{Policy: netconf.Policy{APIRoot: url}}
}

func TestReleaseBelongsToTheClusterThatItNames(t *testing.T) {
	for _, tt := range []struct {
		name    string
		conf    netconf.NetConf
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
		c, _ := configured(t, tt.conf)
		if got := c.leadsThere(tt.release); got != tt.want {
			t.Errorf("%s: %t, want %t", tt.name, got, tt.want)
		}
	}
}

// TestNoPathSettlesAReleaseOfAnotherCluster has the release of the command's own attachment wait for another API server. The
// command has no client, so that it panics if it tries.
func TestNoPathSettlesAReleaseOfAnotherCluster(t *testing.T) {
	for name, settle := range map[string]func(*Command) error{
		"ADD":             func(c *Command) error { return c.SettleOwn(context.Background()) },
		"DEL, all freed":  func(c *Command) error { c.Settled(context.Background(), Freed{All: true}); return nil },
		"DEL, some freed": func(c *Command) error { c.Settled(context.Background(), Freed{}); return nil },
		"a few":           func(c *Command) error { c.SettleSome(context.Background()); return nil },
		"all":             func(c *Command) error { c.SettleAll(context.Background()); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if r := recover(); r != nil {
					t.Errorf("settled by the wrong API server: %v", r)
				}
			}()
			c, clock := configured(t, withKubeconfig("/b"))
			if err := c.queue().Add(pending.Release{Network: "net", ContainerID: "c1", IfName: "eth0", Kubeconfig: "/a"}); err != nil {
				t.Fatal(err)
			}
			c.pace().Reached()
			*clock += time.Hour
			err := settle(c)
			if refused := errors.Is(err, ErrOtherCluster); refused != (name == "ADD") {
				t.Errorf("error %v", err)
			}
			if n, err := c.queue().Len(); n != 1 || err != nil {
				t.Errorf("%d releases wait, %v; want 1", n, err)
			}
		})
	}
}

// TestReleaseOfAMissingKubeconfigIsKeptUntilItsHandleIsFound has a queued release name a kubeconfig that does not exist, as while
// it is replaced. A command with another kubeconfig may speak to another cluster: that it finds no handle proves nothing.
func TestReleaseOfAMissingKubeconfigIsKeptUntilItsHandleIsFound(t *testing.T) {
	for _, tt := range []struct {
		name, kubeconfig string
		found            bool
		kept             bool
	}{
		{"handle found", "/gone", true, false},
		{"handle not found", "/gone", false, true},
		{"handle not found, the same kubeconfig", "/a", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newCluster(t)
			if tt.found {
				w.add("n1", "eth0")
			}
			c, _ := configured(t, withKubeconfig("/a"))
			queue := pending.Queue{Dir: filepath.Join(t.TempDir(), "pending"), Now: w.Now}
			if err := queue.Add(pending.Release{Network: "net", ContainerID: "c1", IfName: "eth0", Node: "n1", Kubeconfig: tt.kubeconfig}); err != nil {
				t.Fatal(err)
			}
			_, err := queue.Settle(t.Context(), 16, c.leadsThere, w.settle(c))
			waiting, _ := queue.Len()
			if kept := waiting == 1; kept != tt.kept || errors.Is(err, ErrOtherCluster) != tt.kept || w.held() != "" {
				t.Errorf("kept %t, %v, held %q; want kept %t", kept, err, w.held(), tt.kept)
			}
		})
	}
}

// TestQueuedReleasesOfTwoClustersDoNotReplaceEachOther queues releases of one attachment as DELs with two kubeconfigs do.
func TestQueuedReleasesOfTwoClustersDoNotReplaceEachOther(t *testing.T) {
	a, _ := configured(t, withKubeconfig("/a"))
	b, _ := configured(t, withKubeconfig("/b"))
	b.Host = a.Host
	outage := context.DeadlineExceeded
	for _, c := range []*Command{a, b, a, b} {
		if err := c.Postpone(outage, Evidence{Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.1")}}, false, nil); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := a.queue().Len(); n != 2 || err != nil {
		t.Errorf("%d releases wait, %v; want one of each cluster", n, err)
	}
}
