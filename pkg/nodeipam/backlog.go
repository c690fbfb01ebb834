package nodeipam

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"calico-cni/internal/deadline"
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
	// settleTurn is for how long a process that no runtime waits for waits for the turn of one release.
	settleTurn = time.Second
	// settleOwn bounds the settling of an ADD's own earlier releases, with the wait for a process that settles one of them.
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

// Postpone queues the release of the command's attachment, to be settled by a later command that reaches the API server.
// why is what keeps it from being done now. elsewhere says that the container may have interfaces in other networks, released
// is what was given back already. An error wraps why.
func (c *Command) Postpone(why error, e Evidence, elsewhere bool, released []netip.Addr) error {
	c.Log.Warn("the release waits until the API server can be reached", "error", why)
	if !errors.Is(why, kube.ErrKubeconfig) {
		// That is no outage that other nodes have, too.
		c.pace().Lost()
	}
	// A DEL does what it can without the name.
	node, _ := c.NodeName(c.Conf)
	err := c.queue().AddIf(pending.Release{
		Network: c.Conf.Name, ContainerID: c.ID.ContainerID, IfName: c.ID.IfName,
		Namespace: c.ID.Namespace, Pod: c.ID.Pod, PodUID: c.ID.PodUID, Node: node,
		Kubeconfig: c.Conf.Kubernetes.Kubeconfig, APIRoot: c.apiRoot(),
		Others: e.Others != NoOthers, OthersUnknown: e.Others == OthersUnknown, OtherNetworks: elsewhere,
		Addresses: e.Addrs, ReleasedBefore: e.Released, Released: released,
	}, c.record.Current)
	if err != nil {
		return fmt.Errorf("%w; the release cannot wait for the end of this: %w", why, err)
	}
	return nil
}

// Evidence is what a DEL knows about its attachment.
func (c *Command) Evidence(others Others) Evidence {
	return Evidence{Others: others, Addrs: c.SaidBefore(), Released: c.record.Released()}
}

// SaidBefore returns the addresses of the attachment in the result of the ADD, none where the runtime does not pass it along.
func (c *Command) SaidBefore() []netip.Addr {
	previous, err := c.Conf.PrevResult()
	if err != nil {
		return nil
	}
	return AddrsOf(previous, c.ID.IfName, c.CNI.Netns)
}

// SettleOwn settles the releases of the command's own container in its network that wait, if there are any: they must not come
// after an ADD, whose addresses they would take. A release of another interface counts, too: it was queued as that of the last
// interface, and takes what names none.
func (c *Command) SettleOwn(ctx context.Context) error {
	ctx, cancel := deadline.Within(ctx, settleOwn, "the wait for an earlier release of this container")
	defer cancel()
	return c.queue().SettleContainer(ctx, c.Conf.Name, c.ID.ContainerID, c.settle)
}

// Settled drops a release of the command's own attachment that waits: the command has just done what it was for, unless
// another had begun it. One that stays does no harm, for it finds nothing to do.
func (c *Command) Settled(ctx context.Context, freed Freed) {
	ctx, cancel := deadline.Within(ctx, settleBriefly, "the settling of an earlier release")
	defer cancel()
	err := c.queue().SettleOne(ctx, c.queueKey(), func(ctx context.Context, r pending.Release) error {
		if !c.leadsThere(r) {
			return c.otherCluster(r)
		}
		// A release that waits may know more than this command did: the runtime forgets a result with the first DEL.
		if freed.All && len(r.Released) == 0 {
			return nil
		}
		return c.settle(ctx, r)
	})
	if err != nil && !errors.Is(err, ErrOtherCluster) {
		c.Log.Warn("a release that is done waits on", "error", err)
	}
}

func (c *Command) queueKey() pending.Key {
	return pending.Key{Network: c.Conf.Name, ContainerID: c.ID.ContainerID, IfName: c.ID.IfName}
}

// SettleSome settles a few releases that wait, now that the API server has answered, as far as the node's pace allows. That
// it fails is no error of the command.
func (c *Command) SettleSome(ctx context.Context) { c.settleUpTo(ctx, settleFew, settleBriefly) }

// SettleAll settles the releases that wait, as far as the node's pace allows.
func (c *Command) SettleAll(ctx context.Context) { c.settleUpTo(ctx, settleMany, settleLong) }

func (c *Command) settleUpTo(ctx context.Context, most int, patience time.Duration) {
	if n, err := c.queue().Len(); n == 0 && err == nil {
		return
	}
	if !c.pace().Reached() {
		return
	}
	ctx, cancel := deadline.Within(ctx, patience, "the settling of queued releases")
	defer cancel()
	done, err := c.queue().Settle(ctx, most, c.leadsThere, c.settleUntilOutage(cancel))
	if err != nil {
		c.Log.Warn("some releases still wait", "settled", done, "error", err)
	} else if done > 0 {
		c.Log.Info("releases that had waited are settled", "settled", done)
	}
}

// settleUntilOutage settles releases one by one, and calls stop when one meets an outage: the others would meet it, too.
func (c *Command) settleUntilOutage(stop func()) func(context.Context, pending.Release) error {
	return func(ctx context.Context, r pending.Release) error {
		err := c.settle(ctx, r)
		// That the command's own time is up says nothing of the API server.
		if CanWait(err) && ctx.Err() == nil {
			c.pace().Lost()
			stop()
		}
		return err
	}
}

// ErrOtherCluster says that a queued release belongs to another API server than the command's. It is not settled.
var ErrOtherCluster = errors.New("queued release belongs to another cluster")

// leadsThere reports whether a queued release belongs to the API server of this command: both name the same kubeconfig or the
// same URL. A release that names neither, or a kubeconfig that does not exist any more, may be settled by every command.
func (c *Command) leadsThere(r pending.Release) bool {
	switch {
	case r.Kubeconfig == "" && r.APIRoot == "":
		return true
	case r.Kubeconfig == "":
		return r.APIRoot == c.apiRoot()
	case r.Kubeconfig == c.Conf.Kubernetes.Kubeconfig:
		return true
	}
	_, err := c.ReadFile(r.Kubeconfig)
	return errors.Is(err, fs.ErrNotExist)
}

// mustBeHere reports whether a queued release can only belong to the API server of this command, so that a handle that is not
// found there is proof that nothing is left to release. A kubeconfig that does not exist may come back, and may lead elsewhere.
func (c *Command) mustBeHere(r pending.Release) bool {
	return r.Kubeconfig == "" || r.Kubeconfig == c.Conf.Kubernetes.Kubeconfig
}

func (c *Command) otherCluster(r pending.Release) error {
	return fmt.Errorf("%w: the release names %s, the configuration names %s; run the DEL again with the configuration of that cluster, "+
		"or remove that kubeconfig if the cluster is gone",
		ErrOtherCluster, cmp.Or(r.Kubeconfig, r.APIRoot), cmp.Or(c.Conf.Kubernetes.Kubeconfig, c.apiRoot(), "none"))
}

// apiRoot returns the URL of the API server without a password, empty where the configuration names a kubeconfig.
func (c *Command) apiRoot() string {
	if c.Conf.Kubernetes.Kubeconfig != "" {
		return ""
	}
	root, err := url.Parse(c.Conf.APIRoot())
	if err != nil {
		// Connect refuses it, too.
		return ""
	}
	return root.Redacted()
}

// settle does what the DEL could not, if the release belongs to this API server. When it fails too, the release remembers what
// was given back.
func (c *Command) settle(ctx context.Context, r pending.Release) error {
	if !c.leadsThere(r) {
		return c.otherCluster(r)
	}
	released, err := c.finish(ctx, r)
	if err != nil && len(released) > 0 {
		r.Released = released
		err = errors.Join(err, c.queue().Add(r))
	}
	return err
}

// ErrHeld says that a queued release gave back nothing although its handle holds addresses that may be its own.
var ErrHeld = errors.New("addresses of the release are still allocated")

// finish releases and tells the pod, and returns what it has released.
func (c *Command) finish(ctx context.Context, r pending.Release) ([]netip.Addr, error) {
	id := workload.ID{ContainerID: r.ContainerID, IfName: r.IfName, Namespace: r.Namespace, Pod: r.Pod, PodUID: r.PodUID}
	freed, err := c.give(ctx, c.Allocations(), r, id)
	if err != nil || !id.Kubernetes() {
		return freed.Addrs, err
	}
	announcer := announce.Announcer{Client: c.Client, ID: id}
	if r.Others || r.OtherNetworks {
		return freed.Addrs, announcer.ClearOf(ctx, slices.Concat(r.Released, freed.Addrs))
	}
	_, err = announcer.Clear(ctx, nil)
	return freed.Addrs, err
}

// give gives back the addresses of a queued release.
func (c *Command) give(ctx context.Context, a Allocations, r pending.Release, id workload.ID) (Freed, error) {
	held, err := a.Lookup(ctx, r.Network, id)
	if err != nil {
		return Freed{}, err
	}
	if held.None() && !c.mustBeHere(r) {
		return Freed{}, fmt.Errorf("%w: no handle of it is here, and kubeconfig %s, which it names, does not exist; restore that file, "+
			"or remove the release from %s if that cluster no longer exists", ErrOtherCluster, r.Kubeconfig, c.queue().Dir)
	}
	e := c.evidenceOf(r)
	freed, err := a.Release(ctx, held, e)
	if err == nil && len(freed.Addrs) == 0 && !freed.All {
		err = c.nothingLeft(ctx, a, held, e)
	}
	return freed, err
}

// nothingLeft returns an error that wraps ErrHeld when a release that gave back nothing may have left something: it is kept, so
// that neither an address is lost silently nor another attachment's is taken.
func (c *Command) nothingLeft(ctx context.Context, a Allocations, held Holdings, e Evidence) error {
	left, err := a.Left(ctx, held, e)
	if err != nil || len(left) == 0 {
		return err
	}
	return fmt.Errorf("%w: handle %s holds %v for another interface or node (this node is %v); the release is kept, and settled when they are free",
		ErrHeld, held.handle, left, e.Nodes)
}

// evidenceOf is what the DEL knew that queued a release. The node may have gone by another name in its configuration.
func (c *Command) evidenceOf(r pending.Release) Evidence {
	e := Evidence{Others: SomeOthers, Addrs: r.Addresses, Released: r.ReleasedBefore}
	switch {
	case !r.Others:
		e.Others = NoOthers
	case r.OthersUnknown || r.Version == 0:
		// The release before versions did not tell one from the other.
		e.Others = OthersUnknown
	}
	if r.Node != "" {
		e.Nodes = []string{r.Node}
		if node, err := c.NodeName(c.Conf); err == nil {
			e.Nodes = append(e.Nodes, node)
		}
	}
	return e
}
