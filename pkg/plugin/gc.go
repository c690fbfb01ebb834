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

// GC removes host interfaces with their routes, and allocations, of attachments on this node that the runtime does not
// list as valid. It concerns one network. It continues after an error and returns all errors.
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
			errs = append(errs, a.collectUnmarked(ctx, spared, n.HostIfName))
			continue
		}
		containerID, ok := spared.Container(n.Owner)
		if !ok || spared.Keeps(containerID, n.IfName) {
			continue
		}
		_, err := a.dataplane.Teardown(ctx, dataplane.Target{Handle: n.Owner, IfName: n.IfName, HostIfName: n.HostIfName})
		if err == nil {
			a.call.Log.Info("removed an interface without a valid attachment", "interface", n.HostIfName,
				"container", containerID)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// collectUnmarked removes an interface without an alias if a killed ADD of the network has created it.
//
// Only the device group of such an interface identifies its owner, as a hash. The attachment is known from the mark of
// the killed ADD, which an ADD writes before it creates the interface. If the mark could not be written, the interface
// remains until the kernel removes it together with the network namespace of the pod.
func (a *attachment) collectUnmarked(ctx context.Context, spared nodeipam.Spared, hostIfName string) error {
	var errs []error
	for _, k := range a.call.Host.Disk().Marks().Ended(a.call.Conf.Name) {
		if spared.Keeps(k.ContainerID, k.IfName) {
			continue
		}
		id := workload.ID{ContainerID: k.ContainerID, IfName: k.IfName}
		target := dataplane.Target{Handle: id.HandleID(k.Network), IfName: k.IfName, HostIfName: hostIfName}
		_, err := a.dataplane.Teardown(ctx, target)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
