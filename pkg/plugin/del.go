package plugin

import (
	"context"
	"errors"
	"slices"

	"github.com/containernetworking/cni/pkg/skel"
	"golang.org/x/sync/errgroup"

	"calico-cni/internal/deadline"
	"calico-cni/internal/deletion"
	"calico-cni/pkg/dataplane"
	"calico-cni/pkg/nodeipam"
)

// Del detaches the pod. It does all it can and fails only at the end: the interface goes first, for that needs no API;
// then the addresses and the annotations. While the API server cannot be reached they wait on disk, and the command
// succeeds. What is not there is gone already. A repeated DEL asks the API server only when something may have happened since.
func (p *Plugin) Del(ctx context.Context, args *skel.CmdArgs) (err error) {
	a, err := p.detach(args)
	if err != nil {
		return err
	}
	var freed nodeipam.Freed
	defer func() { a.Finish(ctx, freed.Addrs, err) }()
	defer func() { a.EndDel(freed, err) }()

	if a.BeginDel(deletion.Main) && !p.hasInterface(a.target()) {
		// An earlier DEL has done all this, and the data plane removes only interfaces of the workload.
		freed.All = true
		return a.tellDelegate(ctx)
	}
	held := a.lookUp(ctx)
	others, local := a.tearDown(ctx)
	delegated := a.tellDelegate(ctx)
	var remote error
	if a.asksAPI() {
		freed, remote = a.forget(ctx, held, others)
		// calico does not know what its delegate has released. What calico-ipam has recorded counts for the pod's annotations, too.
		freed.All = freed.All || a.Conf.IPAM.Exec && a.DelegateReleasedAll()
	}
	return errors.Join(local, delegated, remote)
}

// hasInterface reports whether the host may have an interface of the attachment, or of another sandbox of the pod. It counts
// under whatever prefix, since FELIX_INTERFACEPREFIX may have changed since the ADD.
func (p *Plugin) hasInterface(t dataplane.Target) bool {
	return p.HostHas == nil || p.HostHas(t.HostIfName, t.SecondHostIfName)
}

func (a *attachment) tearDown(ctx context.Context) (others dataplane.Others, err error) {
	ctx, cancel := deadline.Within(ctx, localDeadline, "the removal of the interface")
	defer cancel()
	err = a.Step(ctx, "tear down", func() (err error) {
		others, err = a.dataplane.Teardown(ctx, a.target())
		return err
	})
	if err != nil {
		// Who does not know takes nothing from others.
		others = dataplane.Others{InNetwork: true, Elsewhere: true}
	}
	return others, err
}

// tellDelegate runs the DEL of another IPAM plugin, or of calico-ipam as a process of its own. It bounds the time, so that a
// plugin that hangs keeps nothing else from being released.
func (a *attachment) tellDelegate(ctx context.Context) error {
	if a.blockIPAM() {
		return nil
	}
	ctx, cancel := deadline.Within(ctx, localDeadline, "the DEL of the IPAM plugin")
	defer cancel()
	return a.delegateDel(ctx)
}

// forget takes the attachment out of the cluster, now or later.
func (a *attachment) forget(ctx context.Context, held holdings, others dataplane.Others) (freed nodeipam.Freed, err error) {
	evidence := a.Evidence(nodeipam.NoOthers)
	if others.InNetwork {
		evidence.Others = nodeipam.SomeOthers
	}
	err = a.Step(ctx, "release", func() (err error) {
		freed, err = a.release(ctx, held, evidence, others)
		return err
	})
	switch {
	case err == nil:
		a.NoteRelease(freed.Addrs)
		if !a.Conf.IPAM.Exec {
			// calico-ipam, run for this command, may have queued its part a moment ago.
			a.Settled(ctx, freed)
		}
		a.SettleSome(ctx)
	case nodeipam.CanWait(err):
		a.Note(err, false)
		return freed, a.Postpone(err, evidence, others.Elsewhere, freed.Addrs)
	}
	return freed, err
}

// release gives back the addresses and, beside that, empties what the pod says of them. Errors of one do not stop the other.
func (a *attachment) release(
	ctx context.Context, held holdings, e nodeipam.Evidence, others dataplane.Others,
) (freed nodeipam.Freed, err error) {
	ctx, cancel := deadline.Within(ctx, nodeipam.ReleaseDeadline, "the release of the addresses")
	defer cancel()
	if err := a.Connect(); err != nil {
		return freed, err
	}
	if others.InNetwork || others.Elsewhere {
		return a.releaseBeside(ctx, held, e)
	}
	var failed, cleared error
	var g errgroup.Group
	if a.blockIPAM() {
		g.Go(func() error { freed, failed = a.releaseHeld(ctx, held, e); return nil })
	}
	if a.ID.Kubernetes() {
		g.Go(func() error { cleared = a.clear(ctx); return nil })
	}
	_ = g.Wait()
	return freed, errors.Join(failed, cleared)
}

// releaseBeside does so while the container has other interfaces: the annotations may be of one of these, and are emptied only
// when they name an address that is given up.
func (a *attachment) releaseBeside(ctx context.Context, held holdings, e nodeipam.Evidence) (freed nodeipam.Freed, err error) {
	if a.blockIPAM() {
		freed, err = a.releaseHeld(ctx, held, e)
	}
	if a.ID.Kubernetes() {
		err = errors.Join(err, a.announcer().ClearOf(ctx, slices.Concat(freed.Addrs, e.Addrs)))
	}
	return freed, err
}

// clear empties the annotations of the pod. With the pod's word that the host interface is this container's, or nobody's,
// it also removes one that carries no mark: Calico leaves it so.
func (a *attachment) clear(ctx context.Context) error {
	mine, err := a.announcer().Clear(ctx, a.SaidBefore())
	if err != nil || !mine {
		return err
	}
	target := a.target()
	target.Unmarked = true
	_, err = a.dataplane.Teardown(ctx, target)
	return err
}
