package plugin

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"github.com/containernetworking/cni/pkg/skel"
	"golang.org/x/sync/errgroup"

	"calico-cni/pkg/dataplane"
	"calico-cni/pkg/ipamplugin"
)

// Del detaches the pod. It does all it can and fails only at the end: the interface goes first, for that needs no API;
// then the addresses and the annotations. While the API server cannot be reached they wait on disk, and the command
// succeeds. What is not there is gone already.
func (p *Plugin) Del(ctx context.Context, args *skel.CmdArgs) (err error) {
	a, err := p.detach(args)
	if err != nil {
		return err
	}
	var released []netip.Addr
	defer func() { a.Finish(ctx, released, err) }()

	a.Forgotten()
	held := a.lookUp(ctx)
	others, local := a.tearDown(ctx)
	var delegated, remote error
	if !a.blockIPAM() {
		delegated = a.tellDelegate(ctx)
	}
	if a.asksAPI() {
		released, remote = a.forget(ctx, held, others)
	}
	return errors.Join(local, delegated, remote)
}

func (a *attachment) tearDown(ctx context.Context) (others dataplane.Others, err error) {
	ctx, cancel := context.WithTimeout(ctx, localDeadline)
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

// tellDelegate bounds what another IPAM plugin may take: one that hangs keeps nothing else from being released.
func (a *attachment) tellDelegate(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, localDeadline)
	defer cancel()
	return a.delegateDel(ctx)
}

// forget takes the attachment out of the cluster, now or later.
func (a *attachment) forget(ctx context.Context, held holdings, others dataplane.Others) (released []netip.Addr, err error) {
	err = a.Step(ctx, "release", func() (err error) {
		released, err = a.release(ctx, held, others)
		return err
	})
	switch {
	case err == nil:
		a.NoteRelease(released)
		if !a.Conf.IPAM.Exec {
			// calico-ipam, run for this command, may have queued its part a moment ago.
			a.Settled(ctx)
		}
		a.SettleSome(ctx)
	case ipamplugin.CanWait(err):
		a.Note(err, false)
		a.Log.Warn("the release waits until the API server can be reached", "error", err)
		return released, a.Postpone(ipamplugin.Others(others), released)
	}
	return released, err
}

// release gives back the addresses and, beside that, empties what the pod says of them. Errors of one do not stop the other.
func (a *attachment) release(ctx context.Context, held holdings, others dataplane.Others) (released []netip.Addr, err error) {
	ctx, cancel := context.WithTimeout(ctx, ipamplugin.ReleaseDeadline)
	defer cancel()
	if err := a.Connect(); err != nil {
		return nil, err
	}
	if others.InNetwork || others.Elsewhere {
		return a.releaseBeside(ctx, held, others.InNetwork)
	}
	var freed, cleared error
	var g errgroup.Group
	if a.blockIPAM() {
		g.Go(func() error { released, freed = a.releaseHeld(ctx, held, true); return nil })
	}
	if a.ID.Kubernetes() {
		g.Go(func() error { cleared = a.clear(ctx); return nil })
	}
	_ = g.Wait()
	return released, errors.Join(freed, cleared)
}

// releaseBeside does so while the container has other interfaces: the annotations may be of one of these, and are emptied only
// when they name an address that is given up.
func (a *attachment) releaseBeside(ctx context.Context, held holdings, inNetwork bool) (released []netip.Addr, err error) {
	if a.blockIPAM() {
		released, err = a.releaseHeld(ctx, held, !inNetwork)
	}
	if a.ID.Kubernetes() {
		err = errors.Join(err, a.announcer().ClearOf(ctx, slices.Concat(released, a.saidBefore())))
	}
	return released, err
}

// clear empties the annotations of the pod. With the pod's word that the host interface is this container's, or nobody's,
// it also removes one that carries no mark: Calico leaves it so.
func (a *attachment) clear(ctx context.Context) error {
	mine, err := a.announcer().Clear(ctx, a.saidBefore())
	if err != nil || !mine {
		return err
	}
	target := a.target()
	target.Unmarked = true
	_, err = a.dataplane.Teardown(ctx, target)
	return err
}

// saidBefore returns the addresses that the result of the ADD has, where the runtime passes it along.
func (a *attachment) saidBefore() []netip.Addr {
	previous, err := a.Conf.PrevResult()
	if err != nil {
		return nil
	}
	return ipamplugin.AddrsOf(previous, a.ID.IfName, a.CNI.Netns)
}
