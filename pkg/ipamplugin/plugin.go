// SPDX-License-Identifier: Apache-2.0

// Package ipamplugin implements the IPAM plugin, calico-ipam: the verbs of the CNI specification, based on package
// nodeipam.
package ipamplugin

import (
	"context"
	"net/netip"
	"time"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	"golang.org/x/sync/errgroup"

	"calico-cni/internal/deadline"
	"calico-cni/internal/nodestate"
	"calico-cni/pkg/invocation"
	"calico-cni/pkg/ipam"
	"calico-cni/pkg/kubeapi"
	"calico-cni/pkg/nodeipam"
)

// checkDeadline bounds a CHECK.
const checkDeadline = 90 * time.Second

// Plugin is calico-ipam.
type Plugin struct{ Host invocation.Host }

// Add allocates the addresses and returns the result of an IPAM plugin.
func (p *Plugin) Add(ctx context.Context, args *skel.CmdArgs) (_ types.Result, err error) {
	call, err := p.Host.Attach("ADD", args)
	if err != nil {
		return nil, err
	}
	node := call.NodeIPAM()
	var grant nodeipam.Grant
	defer func() { call.Finish(ctx, grant.Addrs(), err) }()
	defer func() { node.Health().Note(err, grant.Last()) }()
	call.CancelOnSignal()
	end, err := node.BeginAdd(call.ID, nodestate.IPAM)
	if err != nil {
		return nil, err
	}
	defer func() { end(err == nil) }()

	name, err := call.NodeName()
	if err != nil {
		return nil, err
	}
	if err := call.Connect(); err != nil {
		return nil, err
	}
	if err := node.Releases().SettleOwn(ctx, call.ID.ContainerID); err != nil {
		return nil, err
	}
	usual := node.UsualRequest(name)
	view, namespace, err := gather(ctx, call, node.Allocations(), usual)
	if err != nil {
		return nil, err
	}
	if grant, err = node.Allocations().Assign(ctx, view, request(call, usual, namespace)); err != nil {
		return nil, err
	}
	return resultFor(grant, call.Conf), nil
}

// gather reads the inputs of the allocation in one parallel round.
func gather(
	ctx context.Context, call *invocation.Call, a nodeipam.Allocations, usual nodeipam.Request,
) (view ipam.View, namespace kubeapi.Meta, err error) {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) { view, err = a.Gather(ctx, usual); return err })
	if call.ID.Kubernetes() {
		g.Go(func() (err error) { namespace, err = call.ReadNamespace(ctx); return err })
	}
	err = g.Wait()
	return view, namespace, err
}

// request returns the request of the attachment.
func request(call *invocation.Call, usual nodeipam.Request, namespace kubeapi.Meta) nodeipam.Request {
	r := usual
	r.ID = call.ID
	// A DEL of another main plugin does not report the container's other interfaces.
	r.NamesInterface = call.Conf.OtherMainPlugin()
	if call.ID.Kubernetes() {
		r.NamespaceLabels = nodeipam.NamespaceLabels(call.ID.Namespace, namespace.Labels)
	}
	r.RequestAddrs(call.RequestedAddrs())
	return r
}

// Del releases the addresses of the attachment. An attachment without addresses is a success, and so is a queued
// release.
func (p *Plugin) Del(ctx context.Context, args *skel.CmdArgs) (err error) {
	call, err := p.Host.Detach(args)
	if err != nil {
		return err
	}
	node := call.NodeIPAM()
	var freed nodeipam.Freed
	defer func() { call.Finish(ctx, freed.Addrs, err) }()
	del := node.BeginDel(call.ID, nodestate.IPAM)
	defer func() { del.End(freed, err) }()

	if del.Repeated() {
		freed.All = true
		return nil
	}
	// The container may have other interfaces.
	evidence := del.Evidence(nodeipam.OthersUnknown, call.PreviousAddrs())
	if freed, err = release(ctx, call, node, evidence); nodeipam.CanWait(err) {
		node.Health().Note(err, false)
		return node.Releases().Postpone(err, del, evidence, true, freed.Addrs)
	}
	if err != nil {
		return err
	}
	node.Health().NoteRelease(freed)
	node.Releases().Settled(ctx, call.ID, freed)
	node.Releases().SettleSome(ctx)
	return nil
}

func release(
	ctx context.Context, call *invocation.Call, node *nodeipam.Node, e nodeipam.Evidence,
) (nodeipam.Freed, error) {
	ctx, cancel := deadline.Within(ctx, nodeipam.ReleaseDeadline, "the release of the addresses")
	defer cancel()
	if err := call.Connect(); err != nil {
		return nodeipam.Freed{}, err
	}
	held, err := node.HoldingsOf(ctx, call.ID)
	if err != nil {
		return nodeipam.Freed{}, err
	}
	return node.Allocations().Release(ctx, held, e)
}

// Check returns nil if the attachment holds the addresses in its result.
func (p *Plugin) Check(ctx context.Context, args *skel.CmdArgs) (err error) {
	ctx, cancel := deadline.Within(ctx, checkDeadline, "CHECK")
	defer cancel()
	call, err := p.Host.Attach("CHECK", args)
	if err != nil {
		return err
	}
	previous, err := invocation.Previous(call.Conf)
	if err != nil {
		return err
	}
	addrs := invocation.AddrsOf(previous, call.ID.IfName, args.Netns)
	defer func() { call.Finish(ctx, addrs, err) }()
	if err := call.Connect(); err != nil {
		return err
	}
	return call.NodeIPAM().Allocations().Check(ctx, call.Conf.Name, call.ID, addrs)
}

// Status returns nil if an ADD can allocate addresses now, and otherwise the cause.
func (p *Plugin) Status(ctx context.Context, args *skel.CmdArgs) error {
	call, err := p.Host.OnNode("STATUS", args)
	if err != nil {
		return err
	}
	return call.NodeIPAM().Health().Check(ctx)
}

// GC releases the allocations of the node in the network whose attachments the runtime does not list as valid.
func (p *Plugin) GC(ctx context.Context, args *skel.CmdArgs) (err error) {
	call, err := p.Host.OnNode("GC", args)
	if err != nil {
		return err
	}
	var freed []netip.Addr
	defer func() { call.Finish(ctx, freed, err) }()
	spared, err := call.Spared()
	if err != nil {
		return err
	}
	if freed, err = call.NodeIPAM().Collect(ctx, spared); err == nil {
		spared.SweepMarks()
	}
	return err
}
