// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"errors"

	"github.com/containernetworking/cni/pkg/skel"

	"calico-cni/internal/deadline"
	"calico-cni/internal/nodestate"
	"calico-cni/pkg/dataplane"
	"calico-cni/pkg/nodeipam"
)

// delRun is one DEL.
type delRun struct {
	attachment *attachment
	// deletion is the record of the DEL.
	deletion *nodeipam.Deletion
}

// Del detaches the pod. It first removes the interface, which needs no API server, then releases the addresses and
// clears the annotations. It continues after an error and returns all errors at the end. If the API server cannot be
// reached, it queues the release and succeeds. A repeated DEL sends requests only if the attachment may have changed.
func (p *Plugin) Del(ctx context.Context, args *skel.CmdArgs) (err error) {
	a, err := p.attachmentForDel(args)
	if err != nil {
		return err
	}
	var freed nodeipam.Freed
	defer func() { a.call.Finish(ctx, freed.Addrs, err) }()
	d := &delRun{attachment: a, deletion: a.ipam.BeginDel(a.call.ID, nodestate.Main)}
	defer func() { d.deletion.End(freed, err) }()

	if d.deletion.Repeated() && !p.hasInterface(a.target()) {
		// An earlier DEL has released everything, and the data plane removes only interfaces of the workload.
		freed.All = true
		return d.runDelegate(ctx)
	}
	held := d.startLookup(ctx)
	others, local := d.tearDown(ctx)
	delegated := d.runDelegate(ctx)
	var remote error
	if a.usesAPI() {
		freed, remote = d.releaseOrQueue(ctx, held, others)
		// Only the record of calico-ipam shows whether the delegate has released everything. That record also covers
		// the pod's annotations.
		freed.All = freed.All || a.call.Conf.IPAM.Exec && d.deletion.DelegateReleasedAll()
	}
	return errors.Join(local, delegated, remote)
}

// hasInterface reports whether the host may have an interface of the attachment or of another sandbox of the pod. It
// checks all prefixes, because FELIX_INTERFACEPREFIX may have changed since the ADD.
func (p *Plugin) hasInterface(t dataplane.Target) bool {
	return p.HostHas == nil || p.HostHas(t.HostIfName, t.SecondHostIfName)
}

func (d *delRun) tearDown(ctx context.Context) (others dataplane.Others, err error) {
	ctx, cancel := deadline.Within(ctx, localDeadline, "the removal of the interface")
	defer cancel()
	err = d.attachment.call.Step(ctx, "tear down", func() (err error) {
		others, err = d.attachment.dataplane.Teardown(ctx, d.attachment.target())
		return err
	})
	if err != nil {
		// The container may have other interfaces. Keep their resources.
		others = dataplane.Others{InNetwork: true, Elsewhere: true}
	}
	return others, err
}

// runDelegate runs the DEL of an IPAM plugin in a separate process. The time limit keeps a hanging plugin from blocking
// the release of other resources.
func (d *delRun) runDelegate(ctx context.Context) error {
	if d.attachment.blockIPAM() {
		return nil
	}
	ctx, cancel := deadline.Within(ctx, localDeadline, "the DEL of the IPAM plugin")
	defer cancel()
	return d.attachment.delegate().del(ctx)
}

// releaseOrQueue releases the addresses and annotations of the attachment, or queues the release.
func (d *delRun) releaseOrQueue(
	ctx context.Context, held lookup, others dataplane.Others,
) (freed nodeipam.Freed, err error) {
	evidence := d.deletion.Evidence(nodeipam.NoOthers, d.attachment.call.PreviousAddrs())
	if others.InNetwork {
		evidence.Others = nodeipam.SomeOthers
	}
	err = d.attachment.call.Step(ctx, "release", func() (err error) {
		freed, err = d.release(ctx, held, evidence, others)
		return err
	})
	switch {
	case err == nil:
		d.attachment.ipam.Health().NoteRelease(freed)
		if !d.attachment.call.Conf.IPAM.Exec {
			// With Exec, calico-ipam may have queued a release for this DEL.
			d.attachment.ipam.Releases().Settled(ctx, d.attachment.call.ID, freed)
		}
		d.attachment.ipam.Releases().SettleSome(ctx)
	case nodeipam.CanWait(err):
		d.attachment.ipam.Health().Note(err, false)
		return freed, d.attachment.ipam.Releases().Postpone(err, d.deletion, evidence, others.Elsewhere, freed.Addrs)
	}
	return freed, err
}
