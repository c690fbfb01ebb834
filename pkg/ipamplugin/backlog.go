package ipamplugin

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"slices"
	"time"

	"calico-cni/pkg/announce"
	"calico-cni/pkg/ipam"
	"calico-cni/pkg/kube"
	"calico-cni/pkg/pending"
	"calico-cni/pkg/workload"
)

// How much of the backlog a command settles besides its own work, and how long it takes for it at most.
const (
	settleFew, settleBriefly = 16, 5 * time.Second
	settleMany, settleLong   = 4096, 60 * time.Second
	// settleOwn is how long an ADD waits for the one that may have its own earlier release in hand.
	settleOwn = 30 * time.Second
)

// CanWait reports whether an error of a release ends with an outage: of the API server, of another server that answers in
// its place, of the credentials, or of a datastore that is locked. The release can wait for that end.
func CanWait(err error) bool {
	for _, outage := range []error{
		kube.ErrUnavailable, kube.ErrNotServed, kube.ErrUnauthorized, kube.ErrKubeconfig, ipam.ErrNotReady, context.DeadlineExceeded,
	} {
		if errors.Is(err, outage) {
			return true
		}
	}
	return false
}

// Others says which other interfaces the container of a command has, or may have: in the command's network, and in others.
type Others struct{ InNetwork, Elsewhere bool }

// Postpone queues the release of the command's attachment, to be settled by whichever command reaches the API server
// next. released is what was given back already.
func (c *Command) Postpone(others Others, released []netip.Addr) error {
	return c.queue().Add(pending.Release{
		Network: c.Conf.Name, ContainerID: c.ID.ContainerID, IfName: c.ID.IfName,
		Namespace: c.ID.Namespace, Pod: c.ID.Pod, PodUID: c.ID.PodUID,
		Kubeconfig: c.Conf.Kubernetes.Kubeconfig, Others: others.InNetwork, OtherNetworks: others.Elsewhere,
		Released: released,
	})
}

// SettleOwn settles a release of the command's own attachment that waits, if there is one: it must not come after an ADD
// of the same container ID, whose addresses it would take.
func (c *Command) SettleOwn(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleOwn)
	defer cancel()
	return c.queue().SettleOne(ctx, c.queueKey(), c.settle)
}

// Settled drops a release of the command's own attachment that waits: the command has just done what it was for, unless
// another had begun it. One that stays does no harm, for it finds nothing to do.
func (c *Command) Settled(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, settleBriefly)
	defer cancel()
	err := c.queue().SettleOne(ctx, c.queueKey(), func(ctx context.Context, r pending.Release) error {
		if len(r.Released) == 0 {
			return nil
		}
		return c.settle(ctx, r)
	})
	if err != nil {
		c.Log.Warn("a release that is done waits on", "error", err)
	}
}

func (c *Command) queueKey() pending.Key {
	return pending.Key{Network: c.Conf.Name, ContainerID: c.ID.ContainerID, IfName: c.ID.IfName}
}

// SettleSome settles a few releases that wait, now that the API server has answered. It is nobody's error when it fails.
func (c *Command) SettleSome(ctx context.Context) { c.settleUpTo(ctx, settleFew, settleBriefly) }

// SettleAll settles all releases that wait.
func (c *Command) SettleAll(ctx context.Context) { c.settleUpTo(ctx, settleMany, settleLong) }

func (c *Command) settleUpTo(ctx context.Context, most int, patience time.Duration) {
	if n, err := c.queue().Len(); n == 0 && err == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	done, err := c.queue().Settle(ctx, most, c.leadsThere, c.settle)
	if err != nil {
		c.Log.Warn("some releases still wait", "settled", done, "error", err)
	} else if done > 0 {
		c.Log.Info("releases that had waited are settled", "settled", done)
	}
}

// leadsThere reports whether a release is one of the cluster that this command speaks to, as far as anybody can tell: one
// without a kubeconfig, or whose kubeconfig is gone, is taken for such.
func (c *Command) leadsThere(r pending.Release) bool {
	if r.Kubeconfig == c.Conf.Kubernetes.Kubeconfig || r.Kubeconfig == "" {
		return true
	}
	_, err := c.ReadFile(r.Kubeconfig)
	return errors.Is(err, fs.ErrNotExist)
}

// settle does what the DEL could not. When it fails too, the release remembers what was given back.
func (c *Command) settle(ctx context.Context, r pending.Release) error {
	released, err := c.finish(ctx, r)
	if err != nil && len(released) > 0 {
		r.Released = released
		err = errors.Join(err, c.queue().Add(r))
	}
	return err
}

// finish releases and tells the pod, and returns what it has released.
func (c *Command) finish(ctx context.Context, r pending.Release) ([]netip.Addr, error) {
	id := workload.ID{ContainerID: r.ContainerID, IfName: r.IfName, Namespace: r.Namespace, Pod: r.Pod, PodUID: r.PodUID}
	allocations := c.Allocations()
	held, err := allocations.Lookup(ctx, r.Network, id)
	if err != nil {
		return nil, err
	}
	// The container may have come back since under the same ID.
	held.until = r.Queued
	released, err := allocations.Release(ctx, held, !r.Others)
	if err != nil || !id.Kubernetes() {
		return released, err
	}
	announcer := announce.Announcer{Client: c.Client, ID: id}
	if r.Others || r.OtherNetworks {
		return released, announcer.ClearOf(ctx, slices.Concat(r.Released, released))
	}
	_, err = announcer.Clear(ctx, nil)
	return released, err
}
