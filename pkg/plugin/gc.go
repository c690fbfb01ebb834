// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"errors"
	"net/netip"

	"github.com/containernetworking/cni/pkg/skel"

	"calico-cni/pkg/dataplane"
	"calico-cni/pkg/nodeipam"
	"calico-cni/pkg/workload"
)

// GC removes what attachments of the network that the runtime does not call valid have left on this node: host
// interfaces with their routes, and allocations. It goes on after an error, and returns all that there were.
func (p *Plugin) GC(ctx context.Context, args *skel.CmdArgs) (err error) {
	c, err := p.Host.OnNode("GC", args)
	if err != nil {
		return err
	}
	a := &attachment{call: c, ipam: c.NodeIPAM(), dataplane: p.Dataplane}
	var freed []netip.Addr
	defer func() { a.call.Finish(ctx, freed, err) }()
	spared, err := a.call.Spared()
	if err != nil {
		return err
	}
	local := a.collectInterfaces(ctx, spared)
	var remote error
	if a.blockIPAM() {
		freed, remote = a.ipam.Collect(ctx, spared)
	} else {
		remote = a.delegate().gc(ctx)
	}
	if local == nil && remote == nil {
		spared.SweepMarks()
	}
	return errors.Join(local, remote)
}

func (a *attachment) collectInterfaces(ctx context.Context, spared nodeipam.Spared) error {
	all, err := a.dataplane.List(ctx)
	errs := []error{err}
	for _, n := range all {
		if n.Owner == "" {
			errs = append(errs, a.collectHalfMade(ctx, spared, n.HostIfName))
			continue
		}
		containerID, ok := spared.Container(n.Owner)
		if !ok || spared.Is(containerID, n.IfName) {
			continue
		}
		_, err := a.dataplane.Teardown(ctx, dataplane.Target{Owner: n.Owner, IfName: n.IfName, HostIfName: n.HostIfName})
		if err == nil {
			a.call.Log.Info("removed an interface without a valid attachment", "interface", n.HostIfName,
				"container", containerID)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// collectHalfMade removes an interface that has no alias yet if an ADD of the network that was killed has made it.
//
// The interface goes with the network namespace of the pod, because the kernel removes both ends of a pair when one
// goes. Until then only its device group tells whose it is, as a hash, and the mark of the killed ADD names the
// attachment. The mark is there before the interface; where it could not be written, the interface stays until the
// namespace goes.
func (a *attachment) collectHalfMade(ctx context.Context, spared nodeipam.Spared, hostIfName string) error {
	var errs []error
	for _, k := range a.call.Host.Disk().Marks().Ended(a.call.Conf.Name) {
		if spared.Is(k.ContainerID, k.IfName) {
			continue
		}
		id := workload.ID{ContainerID: k.ContainerID, IfName: k.IfName}
		target := dataplane.Target{Owner: id.HandleID(k.Network), IfName: k.IfName, HostIfName: hostIfName}
		_, err := a.dataplane.Teardown(ctx, target)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
