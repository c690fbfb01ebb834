// SPDX-License-Identifier: Apache-2.0

package nodeipam

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"calico-cni/internal/deadline"
	"calico-cni/pkg/ipam"
	"calico-cni/pkg/kube"
	"calico-cni/pkg/kubeapi"
	"calico-cni/pkg/pending"
	"calico-cni/pkg/workload"
)

// Limits of settling: how many queued releases a call settles besides its own work, and for how long.
const (
	settleFew, settleBriefly = 16, 5 * time.Second
	settleMany, settleLong   = 4096, 60 * time.Second
	// settleTurn bounds how long Backlog waits for the rate limit before one release.
	settleTurn = time.Second
	// settleOwnTimeout bounds the settling of earlier releases of an ADD's container, including the wait for another
	// process that is settling one of them.
	settleOwnTimeout = 30 * time.Second
)

// CanWait reports whether the error of a release is an outage: the API server or its proxy is down, the credentials are
// invalid or missing, or the datastore is locked. Such a release can be queued.
func CanWait(err error) bool {
	for _, outage := range []error{
		kubeapi.ErrUnavailable, kubeapi.ErrNotServed, kubeapi.ErrUnauthorized, kube.ErrKubeconfig, ipam.ErrNotReady,
		context.DeadlineExceeded,
	} {
		if errors.Is(err, outage) {
			return true
		}
	}
	return false
}

// Releases settles and extends the release queue of a node.
type Releases struct{ node *Node }

// Postpone queues the release of a DEL. The next call that reaches the API server settles it. why is the outage.
// otherNetworks says that the container may have interfaces in other networks. released are the addresses that are
// already released. An error wraps why.
func (q Releases) Postpone(why error, d *Deletion, e Evidence, otherNetworks bool, released []netip.Addr) error {
	n := q.node
	n.Log.Warn("queueing the release until the API server can be reached", "error", why)
	if !errors.Is(why, kube.ErrKubeconfig) {
		// Other nodes do not share the outage of a missing kubeconfig.
		n.pace().Lost()
	}
	// A release works without the name of the node.
	node, _ := n.Name()
	err := n.Disk.queue().AddIf(pending.Release{
		Network: n.Network, ContainerID: d.id.ContainerID, IfName: d.id.IfName,
		Namespace: d.id.Namespace, Pod: d.id.Pod, PodUID: d.id.PodUID, Node: node,
		Kubeconfig: n.Server.Kubeconfig, APIRoot: n.Server.APIRoot,
		Others: e.Others, OtherNetworks: otherNetworks,
		Addresses: e.Addrs, ReleasedBefore: e.Released, Released: released,
	}, d.record.Current)
	if err != nil {
		return fmt.Errorf("%w; cannot queue the release: %w", why, err)
	}
	return nil
}

// SettleOwn settles the queued releases of a container in this network. An ADD calls it first, because a later settling
// would release the addresses of the ADD. This includes the releases of other interfaces: the release of the last
// interface releases all addresses that name no interface.
func (q Releases) SettleOwn(ctx context.Context, containerID string) error {
	ctx, cancel := deadline.Within(ctx, settleOwnTimeout, "the wait for an earlier release of this container")
	defer cancel()
	return q.node.settler().SettleContainer(ctx, q.node.Network, containerID, q.settleOne)
}

// Settled removes the queued release of an attachment that the caller has just released. If another process is settling
// it, it stays queued, and that process finds nothing to release.
func (q Releases) Settled(ctx context.Context, id workload.ID, freed Freed) {
	ctx, cancel := deadline.Within(ctx, settleBriefly, "the settling of an earlier release")
	defer cancel()
	err := q.node.settler().SettleOne(ctx, q.node.key(id), func(ctx context.Context, r pending.Release) error {
		// If the caller has deleted the handle, the release belongs to this cluster even if it names another kubeconfig: no
		// two containers have the same ID. The release may name addresses that the caller does not know, because a runtime
		// removes prevResult after the first DEL.
		if freed.All && len(r.Released) == 0 {
			return nil
		}
		return q.settleOne(ctx, r)
	})
	if err != nil && !errors.Is(err, ErrOtherCluster) {
		q.node.Log.Warn("cannot remove a settled release from the queue", "error", err)
	}
}

// SettleSome settles a few queued releases, within the rate limit of the node. Call it after the API server has
// answered. It logs failures.
func (q Releases) SettleSome(ctx context.Context) { q.settleUpTo(ctx, settleFew, settleBriefly) }

// SettleAll settles the queued releases, within the rate limit of the node.
func (q Releases) SettleAll(ctx context.Context) { q.settleUpTo(ctx, settleMany, settleLong) }

func (q Releases) settleUpTo(ctx context.Context, limit int, timeout time.Duration) {
	if n, err := q.node.Disk.queue().Len(); n == 0 && err == nil {
		return
	}
	if !q.node.mayStartSettling() {
		return
	}
	ctx, cancel := deadline.Within(ctx, timeout, "the settling of queued releases")
	defer cancel()
	done, err := q.node.settler().Settle(ctx, limit, q.belongsHere, q.settleUntilOutage(cancel))
	if err != nil {
		q.node.Log.Warn("cannot settle all queued releases", "settled", done, "error", err)
	} else if done > 0 {
		q.node.Log.Info("settled queued releases", "settled", done)
	}
}

// pace is the schedule of the node's queued releases with the API server of this network.
func (n *Node) pace() *pending.Pace { return n.Disk.pace(n.Server) }

// settler settles queued releases at that pace.
func (n *Node) settler() pending.Settler {
	return pending.Settler{Queue: n.Disk.queue(), Pace: n.pace()}
}

// mayStartSettling records that the API server was reached, and reports whether releases may be settled now.
func (n *Node) mayStartSettling() bool {
	ready, err := n.pace().Reached()
	if err != nil {
		n.Log.Warn("cannot limit the rate of queued releases; settling some at random", "error", err)
	}
	return ready
}

// settleUntilOutage returns a function that settles one release, and calls stop after an outage, because the others
// would also fail.
func (q Releases) settleUntilOutage(stop func()) func(context.Context, pending.Release) error {
	return func(ctx context.Context, r pending.Release) error {
		err := q.settleOne(ctx, r)
		// An expired deadline of the caller is not an outage.
		if CanWait(err) && ctx.Err() == nil {
			q.node.pace().Lost()
			stop()
		}
		return err
	}
}
