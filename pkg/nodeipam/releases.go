// SPDX-License-Identifier: Apache-2.0

package nodeipam

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"time"

	"calico-cni/internal/deadline"
	"calico-cni/pkg/announce"
	"calico-cni/pkg/ipam"
	"calico-cni/pkg/kube"
	"calico-cni/pkg/pending"
	"calico-cni/pkg/workload"
)

// How many queued releases a call settles besides its own work, and for how long.
const (
	settleFew, settleBriefly = 16, 5 * time.Second
	settleMany, settleLong   = 4096, 60 * time.Second
	// settleTurn bounds how long Backlog waits for the rate limit before one release.
	settleTurn = time.Second
	// settleOwn bounds the settling of earlier releases of the container of an ADD, with the wait for another process that
	// settles one of them.
	settleOwn = 30 * time.Second
)

// CanWait reports whether the error of a release is an outage: the API server or its proxy is down, the credentials are
// invalid or missing, or the datastore is locked. Such a release can be queued.
func CanWait(err error) bool {
	for _, outage := range []error{
		kube.ErrUnavailable, kube.ErrNotServed, kube.ErrUnauthorized, kube.ErrKubeconfig, ipam.ErrNotReady,
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

// Postpone queues the release of the attachment of a DEL. A later call that reaches the API server settles it. why is
// the reason why the release cannot be done now, otherNetworks says that the container may have interfaces in other
// networks, released are the addresses that are released already. An error wraps why.
func (q Releases) Postpone(why error, d *Deletion, e Evidence, otherNetworks bool, released []netip.Addr) error {
	n := q.node
	n.Log.Warn("the release waits until the API server can be reached", "error", why)
	if !errors.Is(why, kube.ErrKubeconfig) {
		// A missing kubeconfig is not an outage that other nodes have, too.
		n.Disk.pace().Lost()
	}
	// A release works without the name of the node.
	node, _ := n.Name()
	err := n.Disk.queue().AddIf(pending.Release{
		Network: n.Network, ContainerID: d.id.ContainerID, IfName: d.id.IfName,
		Namespace: d.id.Namespace, Pod: d.id.Pod, PodUID: d.id.PodUID, Node: node,
		Kubeconfig: n.Server.Kubeconfig, APIRoot: n.Server.APIRoot,
		Others: e.Others != NoOthers, OthersUnknown: e.Others == OthersUnknown, OtherNetworks: otherNetworks,
		Addresses: e.Addrs, ReleasedBefore: e.Released, Released: released,
	}, d.record.Current)
	if err != nil {
		return fmt.Errorf("%w; the release cannot wait for the end of this: %w", why, err)
	}
	return nil
}

// SettleOwn settles the queued releases of a container in this network. An ADD calls it first: a later release would
// take the addresses of the ADD. The releases of other interfaces count, too: one that was queued as that of the last
// interface releases all holdings that name no interface.
func (q Releases) SettleOwn(ctx context.Context, containerID string) error {
	ctx, cancel := deadline.Within(ctx, settleOwn, "the wait for an earlier release of this container")
	defer cancel()
	return q.node.Disk.settler().SettleContainer(ctx, q.node.Network, containerID, q.settle)
}

// Settled drops the queued release of an attachment that the caller has just released. A release that another process
// works on stays queued; it finds nothing to release.
func (q Releases) Settled(ctx context.Context, id workload.ID, freed Freed) {
	ctx, cancel := deadline.Within(ctx, settleBriefly, "the settling of an earlier release")
	defer cancel()
	err := q.node.Disk.settler().SettleOne(ctx, q.node.key(id), func(ctx context.Context, r pending.Release) error {
		// If the caller has deleted the handle here, the release belongs to this cluster, even if it names another
		// kubeconfig: no two containers have the same ID. But it may name addresses that the caller does not know, because
		// a runtime forgets prevResult after the first DEL.
		if freed.All && len(r.Released) == 0 {
			return nil
		}
		return q.settle(ctx, r)
	})
	if err != nil && !errors.Is(err, ErrOtherCluster) {
		q.node.Log.Warn("a release that is done waits on", "error", err)
	}
}

// SettleSome settles a few queued releases, as far as the node's rate allows. Call it once the API server has answered.
// A failure is logged.
func (q Releases) SettleSome(ctx context.Context) { q.settleUpTo(ctx, settleFew, settleBriefly) }

// SettleAll settles the queued releases, as far as the node's rate allows.
func (q Releases) SettleAll(ctx context.Context) { q.settleUpTo(ctx, settleMany, settleLong) }

func (q Releases) settleUpTo(ctx context.Context, most int, patience time.Duration) {
	if n, err := q.node.Disk.queue().Len(); n == 0 && err == nil {
		return
	}
	if !q.node.Disk.pace().Reached() {
		return
	}
	ctx, cancel := deadline.Within(ctx, patience, "the settling of queued releases")
	defer cancel()
	done, err := q.node.Disk.settler().Settle(ctx, most, q.belongsHere, q.settleUntilOutage(cancel))
	if err != nil {
		q.node.Log.Warn("some releases still wait", "settled", done, "error", err)
	} else if done > 0 {
		q.node.Log.Info("releases that had waited are settled", "settled", done)
	}
}

// settleUntilOutage returns a function that settles one release, and calls stop after an outage: the others would fail,
// too.
func (q Releases) settleUntilOutage(stop func()) func(context.Context, pending.Release) error {
	return func(ctx context.Context, r pending.Release) error {
		err := q.settle(ctx, r)
		// An expired deadline of the caller is not an outage.
		if CanWait(err) && ctx.Err() == nil {
			q.node.Disk.pace().Lost()
			stop()
		}
		return err
	}
}

// ErrOtherCluster says that a queued release may belong to another API server. It stays queued.
var ErrOtherCluster = errors.New("queued release belongs to another cluster")

// belongsHere reports whether a queued release may belong to the API server of the node: both name the same kubeconfig or
// the same URL. So may a release that names neither, or a kubeconfig that does not exist.
func (q Releases) belongsHere(r pending.Release) bool {
	switch {
	case r.Kubeconfig == "" && r.APIRoot == "":
		return true
	case r.Kubeconfig == "":
		return r.APIRoot == q.node.Server.APIRoot
	case r.Kubeconfig == q.node.Server.Kubeconfig:
		return true
	}
	_, err := q.node.ReadFile(r.Kubeconfig)
	return errors.Is(err, fs.ErrNotExist)
}

// mustBeHere reports whether a queued release can only belong to the API server of the node: a handle that is not found
// there then proves that nothing is left to release. A kubeconfig that does not exist may be restored, and may lead to
// another cluster.
func (q Releases) mustBeHere(r pending.Release) bool {
	switch {
	case r.Kubeconfig != "":
		return r.Kubeconfig == q.node.Server.Kubeconfig
	case r.APIRoot != "":
		return r.APIRoot == q.node.Server.APIRoot
	}
	return true
}

func (q Releases) otherCluster(r pending.Release) error {
	return fmt.Errorf("%w: the release names %s, the configuration names %s, and this cluster has no handle of the "+
		"container; run the DEL again with the configuration of that cluster, or remove the release from %s if that "+
		"cluster no longer exists",
		ErrOtherCluster, cmp.Or(r.Kubeconfig, r.APIRoot), cmp.Or(q.node.Server.Kubeconfig, q.node.Server.APIRoot, "none"),
		q.node.Disk.queue().Dir)
}

// settle does what the DEL could not. If it fails, too, it stores the addresses that it has released in the queue.
func (q Releases) settle(ctx context.Context, r pending.Release) error {
	released, err := q.finish(ctx, r)
	if err != nil && len(released) > 0 {
		r.Released = released
		err = errors.Join(err, q.node.Disk.queue().Add(r))
	}
	return err
}

// ErrHeld says that a queued release released nothing although its handle holds addresses that may be its own.
var ErrHeld = errors.New("addresses of the release are still allocated")

// finish releases the addresses, clears the annotations of the pod, and returns what it has released.
func (q Releases) finish(ctx context.Context, r pending.Release) ([]netip.Addr, error) {
	id := workload.ID{ContainerID: r.ContainerID, IfName: r.IfName, Namespace: r.Namespace, Pod: r.Pod, PodUID: r.PodUID}
	freed, err := q.give(ctx, q.node.Allocations(), r, id)
	if err != nil || !id.Kubernetes() {
		return freed.Addrs, err
	}
	client, err := q.node.Connect()
	if err != nil {
		return freed.Addrs, err
	}
	announcer := announce.Announcer{Client: client, ID: id}
	if r.Others || r.OtherNetworks {
		return freed.Addrs, announcer.ClearOf(ctx, slices.Concat(r.Released, freed.Addrs))
	}
	_, err = announcer.Clear(ctx, nil)
	return freed.Addrs, err
}

// give releases the addresses of a queued release.
func (q Releases) give(ctx context.Context, a Allocations, r pending.Release, id workload.ID) (Freed, error) {
	held, err := a.Lookup(ctx, r.Network, id)
	if err != nil {
		return Freed{}, err
	}
	if held.None() && !q.mustBeHere(r) {
		return Freed{}, q.otherCluster(r)
	}
	e := q.evidenceOf(r)
	freed, err := a.Release(ctx, held, e)
	if err == nil && len(freed.Addrs) == 0 && !freed.All {
		err = nothingLeft(ctx, a, held, e)
	}
	return freed, err
}

// nothingLeft returns an error that wraps ErrHeld if a release that released nothing may have left addresses. It is
// kept then: no address leaks silently, and no other attachment loses one.
func nothingLeft(ctx context.Context, a Allocations, held Holdings, e Evidence) error {
	left, err := a.Left(ctx, held, e)
	if err != nil || len(left) == 0 {
		return err
	}
	return fmt.Errorf("%w: handle %s holds %v for another interface or node (this node is %v); the release is kept, "+
		"and settled when they are free",
		ErrHeld, held.handle, left, e.Nodes)
}

// evidenceOf returns what was known to the DEL that queued a release. The configuration of that DEL may have another
// node name.
func (q Releases) evidenceOf(r pending.Release) Evidence {
	e := Evidence{Others: SomeOthers, Addrs: r.Addresses, Released: r.ReleasedBefore}
	switch {
	case !r.Others:
		e.Others = NoOthers
	case r.OthersUnknown:
		e.Others = OthersUnknown
	}
	if r.Node != "" {
		e.Nodes = []string{r.Node}
		if node, err := q.node.Name(); err == nil {
			e.Nodes = append(e.Nodes, node)
		}
	}
	return e
}
