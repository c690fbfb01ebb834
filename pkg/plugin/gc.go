package plugin

import (
	"context"
	"errors"
	"net/netip"

	"github.com/containernetworking/cni/pkg/skel"

	"calico-cni/pkg/dataplane"
	"calico-cni/pkg/ipamplugin"
)

// GC removes what attachments of the network that the runtime does not call valid have left on this node: host
// interfaces with their routes, and allocations. It goes on after an error, and returns all that there were.
func (p *Plugin) GC(ctx context.Context, args *skel.CmdArgs) (err error) {
	c, err := p.OnNode("GC", args)
	if err != nil {
		return err
	}
	a := &attachment{Command: c, dataplane: p.Dataplane}
	var freed []netip.Addr
	defer func() { a.Finish(ctx, freed, err) }()
	spared, err := a.Spared()
	if err != nil {
		return err
	}
	local := a.collectInterfaces(ctx, spared)
	var remote error
	if a.blockIPAM() {
		freed, remote = a.Collect(ctx, spared)
	} else {
		remote = a.delegateGC(ctx)
	}
	if local == nil && remote == nil {
		a.SweepMarks(spared)
	}
	return errors.Join(local, remote)
}

func (a *attachment) collectInterfaces(ctx context.Context, spared ipamplugin.Spared) error {
	all, err := a.dataplane.List(ctx)
	errs := []error{err}
	for _, n := range all {
		containerID, ok := spared.Container(n.Owner)
		if !ok || spared.Is(containerID, n.IfName) {
			continue
		}
		_, err := a.dataplane.Teardown(ctx, dataplane.Target{Owner: n.Owner, IfName: n.IfName, HostIfName: n.HostIfName})
		if err == nil {
			a.Log.Info("removed an interface that nobody claims", "interface", n.HostIfName, "container", containerID)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
