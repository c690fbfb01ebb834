package nodeipam

import (
	"context"
	"log/slog"
	"path/filepath"

	"calico-cni/pkg/kube"
	"calico-cni/pkg/netconf"
)

// Backlog is what waits on a host, for a process that is no command of a runtime: it settles where no command comes.
type Backlog struct {
	Host
	// Kubeconfig is the path of the credentials as this process sees it; Named, as releases name it. Those that name
	// another are somebody else's.
	Kubeconfig, Named string
	Log               *slog.Logger
}

// Len counts the releases that wait, of whichever cluster.
func (b Backlog) Len() (int, error) { return b.queue().Len() }

// Delayed reports whether the API server was reached after an outage, and this node waits before it settles the first release.
func (b Backlog) Delayed() bool { return b.pace().Delayed() }

// Settle settles some of the releases that wait, and returns how many. It asks first whether the datastore is ready. The first
// time after an outage that it is, none is settled: the node's delay begins. An error is an outage, or names the releases that
// could not be settled.
func (b Backlog) Settle(ctx context.Context) (done int, err error) {
	client, err := kube.LoadSupplied(b.Kubeconfig, b.UserAgent)
	if err != nil {
		return 0, err
	}
	defer client.Close()
	conf := &netconf.NetConf{Kubernetes: netconf.Kubernetes{Kubeconfig: b.Named}, IPAMLockFile: filepath.Join(filepath.Dir(b.State), "ipam.lock")}
	c := &Command{Host: b.Host, Verb: "SETTLE", Conf: conf, Log: b.Log, Client: client, started: b.Now(), begun: b.boot()}
	if err := c.Allocations().Cluster.Ready(ctx); err != nil {
		b.pace().Lost()
		return 0, err
	}
	if !b.pace().Reached() {
		return 0, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	queue := b.queue()
	queue.Pace.MaxWait = settleTurn
	return queue.Settle(ctx, settleMany, c.leadsThere, c.settleUntilOutage(cancel))
}
