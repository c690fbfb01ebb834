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

	"calico-cni/pkg/announce"
	"calico-cni/pkg/pending"
	"calico-cni/pkg/workload"
)

// ErrOtherCluster says that a queued release may belong to another API server. It stays queued.
var ErrOtherCluster = errors.New("queued release belongs to another cluster")

// belongsHere reports whether a queued release may belong to the API server of the node: both name the same kubeconfig
// or URL, or the release names neither, or a kubeconfig that does not exist.
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

// mustBeHere reports whether a queued release can only belong to the API server of the node. If its handle is not found
// there, nothing is left to release. A kubeconfig that does not exist may be restored, and may lead to another cluster.
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
		"cluster no longer exists", ErrOtherCluster, cmp.Or(r.Kubeconfig, r.APIRoot),
		cmp.Or(q.node.Server.Kubeconfig, q.node.Server.APIRoot, "none"),
		q.node.Disk.queue().Dir)
}

// settleOne carries out a queued release. If it fails, it stores the addresses that it has released in the queue.
func (q Releases) settleOne(ctx context.Context, r pending.Release) error {
	released, err := q.finish(ctx, r)
	if err != nil && len(released) > 0 {
		r.Released = released
		err = errors.Join(err, q.node.Disk.queue().Add(r))
	}
	return err
}

// ErrHeld says that a queued release has released nothing although its handle has addresses that may be its own.
var ErrHeld = errors.New("addresses of the release are still allocated")

// finish releases the addresses and clears the annotations of the pod. It returns the released addresses.
func (q Releases) finish(ctx context.Context, r pending.Release) ([]netip.Addr, error) {
	id := workload.ID{ContainerID: r.ContainerID, IfName: r.IfName, Namespace: r.Namespace, Pod: r.Pod, PodUID: r.PodUID}
	freed, err := q.carryOut(ctx, q.node.Allocations(), r, id)
	if err != nil || !id.Kubernetes() {
		return freed.Addrs, err
	}
	connection, err := q.node.Connect()
	if err != nil {
		return freed.Addrs, err
	}
	announcer := announce.Announcer{Client: connection, ID: id}
	if r.Others != NoOthers || r.OtherNetworks {
		return freed.Addrs, announcer.ClearOf(ctx, slices.Concat(r.Released, freed.Addrs))
	}
	_, err = announcer.Clear(ctx, nil)
	return freed.Addrs, err
}

// carryOut releases the addresses of a queued release.
func (q Releases) carryOut(ctx context.Context, a Allocations, r pending.Release, id workload.ID) (Freed, error) {
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
		err = checkNothingLeft(ctx, a, held, e)
	}
	return freed, err
}

// checkNothingLeft returns an error that wraps ErrHeld if the handle still has addresses that may belong to the
// release. The release then stays queued: no address leaks unnoticed, and no other attachment loses its address.
func checkNothingLeft(ctx context.Context, a Allocations, held Holdings, e Evidence) error {
	left, err := a.Left(ctx, held, e)
	if err != nil || len(left) == 0 {
		return err
	}
	return fmt.Errorf("%w: handle %s holds %v for another interface or node (this node is %v); if their container does "+
		"not exist, release them with calicoctl ipam release --ip=ADDRESS, and the next attempt settles the release",
		ErrHeld, held.handle, left, e.Nodes)
}

// evidenceOf returns the evidence of the DEL that queued a release. Its configuration may have had another node name.
func (q Releases) evidenceOf(r pending.Release) Evidence {
	e := Evidence{Others: r.Others, Addrs: r.Addresses, Released: r.ReleasedBefore}
	if r.Node != "" {
		e.Nodes = []string{r.Node}
		if node, err := q.node.Name(); err == nil && node != r.Node {
			e.Nodes = append(e.Nodes, node)
		}
	}
	return e
}
