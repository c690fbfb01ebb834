// SPDX-License-Identifier: Apache-2.0

package nodeipam

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"

	"calico-cni/pkg/ipam/crdstore"
	"calico-cni/pkg/kube"
)

// Backlog is the release queue of a host for a process that no runtime calls. It settles releases on nodes without CNI
// calls.
type Backlog struct {
	Disk      Disk
	UserAgent string
	ReadFile  func(path string) ([]byte, error)
	// Kubeconfig is the path of the credentials as this process sees it; Named is that path as releases name it. Releases
	// that name another kubeconfig belong to another cluster.
	Kubeconfig, Named string
	// Group returns the API group of Calico's objects, which may change.
	Group func() crdstore.Group
	Log   *slog.Logger
}

// errUnknownNode says that a Backlog does not know the name of its node.
var errUnknownNode = errors.New("name of the node is not known")

func (b Backlog) server() Server { return Server{Kubeconfig: b.Named} }

// Len counts the queued releases of all clusters.
func (b Backlog) Len() (int, error) { return b.Disk.queue().Len() }

// Delayed reports whether the API server was reached after an outage and the node's delay before the first release has
// not passed.
func (b Backlog) Delayed() bool { return b.Disk.pace(b.server()).Delayed() }

// Settle settles some of the queued releases, and returns how many. It checks first that the datastore is ready. On the
// first success after an outage it settles none: the node's delay begins. An error is an outage, or names the releases
// that failed.
func (b Backlog) Settle(ctx context.Context) (done int, err error) {
	client, err := kube.LoadSupplied(b.Kubeconfig, b.UserAgent)
	if err != nil {
		return 0, err
	}
	defer client.Close()
	n := &Node{
		Disk: b.Disk, Server: b.server(), Group: b.Group(), LockFile: filepath.Join(filepath.Dir(b.Disk.State), "ipam.lock"),
		Name: func() (string, error) { return "", errUnknownNode }, ReadFile: b.ReadFile, Log: b.Log,
		Connect: func() (Connection, error) { return client, nil },
	}
	if err := n.Allocations().Cluster.Ready(ctx); err != nil {
		n.pace().Lost()
		return 0, err
	}
	if !n.mayStartSettling() {
		return 0, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	settler, releases := n.settler(), n.Releases()
	settler.Pace.MaxWait = settleTurn
	return settler.Settle(ctx, settleMany, releases.belongsHere, releases.settleUntilOutage(cancel))
}
