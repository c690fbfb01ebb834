// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"errors"
	"slices"

	"github.com/containernetworking/cni/pkg/skel"
	"golang.org/x/sync/errgroup"

	"calico-cni/internal/deadline"
	"calico-cni/internal/nodestate"
	"calico-cni/pkg/dataplane"
	"calico-cni/pkg/invocation"
	"calico-cni/pkg/nodeipam"
)

// delRun is one DEL.
type delRun struct {
	attachment *attachment
	// call and ipam are those of the attachment.
	call *invocation.Call
	ipam *nodeipam.Node
	// deletion is the record of the DEL.
	deletion *nodeipam.Deletion
}

// Del detaches the pod. It removes the interface first, which needs no API server, then the addresses and the
// annotations. It goes on after an error, and returns all errors at the end. While the API server cannot be reached it
// queues the release and succeeds. A repeated DEL asks the API server only if the attachment may have changed since.
func (p *Plugin) Del(ctx context.Context, args *skel.CmdArgs) (err error) {
	a, err := p.attachmentForDel(args)
	if err != nil {
		return err
	}
	var freed nodeipam.Freed
	defer func() { a.call.Finish(ctx, freed.Addrs, err) }()
	d := &delRun{attachment: a, call: a.call, ipam: a.ipam, deletion: a.ipam.BeginDel(a.call.ID, nodestate.Main)}
	defer func() { d.deletion.End(freed, err) }()

	if d.deletion.Repeated() && !p.hasInterface(a.target()) {
		// An earlier DEL has done all this, and the data plane removes only interfaces of the workload.
		freed.All = true
		return d.runDelegate(ctx)
	}
	held := d.startLookup(ctx)
	others, local := d.tearDown(ctx)
	delegated := d.runDelegate(ctx)
	var remote error
	if a.asksAPI() {
		freed, remote = d.releaseOrQueue(ctx, held, others)
		// calico does not know what its delegate has released. The record of calico-ipam covers the pod's annotations, too.
		freed.All = freed.All || a.call.Conf.IPAM.Exec && d.deletion.DelegateReleasedAll()
	}
	return errors.Join(local, delegated, remote)
}

// hasInterface reports whether the host may have an interface of the attachment, or of another sandbox of the pod. It
// checks all prefixes, because FELIX_INTERFACEPREFIX may have changed since the ADD.
func (p *Plugin) hasInterface(t dataplane.Target) bool {
	return p.HostHas == nil || p.HostHas(t.HostIfName, t.SecondHostIfName)
}

func (d *delRun) tearDown(ctx context.Context) (others dataplane.Others, err error) {
	ctx, cancel := deadline.Within(ctx, localDeadline, "the removal of the interface")
	defer cancel()
	err = d.call.Step(ctx, "tear down", func() (err error) {
		others, err = d.attachment.dataplane.Teardown(ctx, d.attachment.target())
		return err
	})
	if err != nil {
		// If other interfaces cannot be ruled out, keep what may be theirs.
		others = dataplane.Others{InNetwork: true, Elsewhere: true}
	}
	return others, err
}

// runDelegate runs the DEL of an IPAM plugin that is a process of its own. It bounds the time, so that a plugin that
// hangs does not block the release of the rest.
func (d *delRun) runDelegate(ctx context.Context) error {
	if d.attachment.blockIPAM() {
		return nil
	}
	ctx, cancel := deadline.Within(ctx, localDeadline, "the DEL of the IPAM plugin")
	defer cancel()
	return d.attachment.delegate().del(ctx)
}

// releaseOrQueue releases what the attachment has in the cluster, or queues the release.
func (d *delRun) releaseOrQueue(
	ctx context.Context, held lookup, others dataplane.Others,
) (freed nodeipam.Freed, err error) {
	evidence := d.deletion.Evidence(nodeipam.NoOthers, d.call.PreviousAddrs())
	if others.InNetwork {
		evidence.Others = nodeipam.SomeOthers
	}
	err = d.call.Step(ctx, "release", func() (err error) {
		freed, err = d.release(ctx, held, evidence, others)
		return err
	})
	switch {
	case err == nil:
		d.ipam.Health().NoteRelease(freed.Addrs)
		if !d.call.Conf.IPAM.Exec {
			// With Exec, calico-ipam may have queued its part for this DEL.
			d.ipam.Releases().Settled(ctx, d.call.ID, freed)
		}
		d.ipam.Releases().SettleSome(ctx)
	case nodeipam.CanWait(err):
		d.ipam.Health().Note(err, false)
		return freed, d.ipam.Releases().Postpone(err, d.deletion, evidence, others.Elsewhere, freed.Addrs)
	}
	return freed, err
}

// release releases the addresses and clears the annotations of the pod in parallel. An error of one does not stop the
// other.
func (d *delRun) release(
	ctx context.Context, held lookup, e nodeipam.Evidence, others dataplane.Others,
) (freed nodeipam.Freed, err error) {
	ctx, cancel := deadline.Within(ctx, nodeipam.ReleaseDeadline, "the release of the addresses")
	defer cancel()
	if err := d.call.Connect(); err != nil {
		return freed, err
	}
	if others.InNetwork || others.Elsewhere {
		return d.releaseBeside(ctx, held, e)
	}
	var failed, cleared error
	var g errgroup.Group
	if d.attachment.blockIPAM() {
		g.Go(func() error { freed, failed = d.releaseHeld(ctx, held, e); return nil })
	}
	if d.call.ID.Kubernetes() {
		g.Go(func() error { cleared = d.clear(ctx); return nil })
	}
	_ = g.Wait()
	return freed, errors.Join(failed, cleared)
}

// releaseBeside does so while the container has other interfaces. The annotations may belong to one of these: they are
// cleared only if they name an address that is released.
func (d *delRun) releaseBeside(
	ctx context.Context, held lookup, e nodeipam.Evidence,
) (freed nodeipam.Freed, err error) {
	if d.attachment.blockIPAM() {
		freed, err = d.releaseHeld(ctx, held, e)
	}
	if d.call.ID.Kubernetes() {
		err = errors.Join(err, d.attachment.announcer().ClearOf(ctx, slices.Concat(freed.Addrs, e.Addrs)))
	}
	return freed, err
}

// clear clears the annotations of the pod. If these show that the host interface belongs to this container or to none,
// clear also removes an interface without a mark, as Calico creates it.
func (d *delRun) clear(ctx context.Context) error {
	mine, err := d.attachment.announcer().Clear(ctx, d.call.PreviousAddrs())
	if err != nil || !mine {
		return err
	}
	target := d.attachment.target()
	target.Unmarked = true
	_, err = d.attachment.dataplane.Teardown(ctx, target)
	return err
}

// lookup waits for the result of startLookup.
type lookup func() (nodeipam.Holdings, error)

// startLookup starts to look up what the attachment holds, in parallel to the removal of the interface, which takes the
// kernel milliseconds.
func (d *delRun) startLookup(ctx context.Context) lookup {
	if !d.attachment.blockIPAM() {
		return nil
	}
	var held nodeipam.Holdings
	err := d.call.Connect()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err == nil {
			held, err = d.ipam.HoldingsOf(ctx, d.call.ID)
		}
	}()
	return func() (nodeipam.Holdings, error) {
		<-done
		return held, err
	}
}

// releaseHeld releases the addresses.
func (d *delRun) releaseHeld(ctx context.Context, held lookup, e nodeipam.Evidence) (nodeipam.Freed, error) {
	h, err := held()
	if err == nil && h.None() {
		// An ADD that ran until its interface was removed may have allocated an address since.
		h, err = d.ipam.HoldingsOf(ctx, d.call.ID)
	}
	if err != nil {
		return nodeipam.Freed{}, err
	}
	return d.ipam.Allocations().Release(ctx, h, e)
}
