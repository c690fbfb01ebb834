// Package ipamplugin is the IPAM plugin, calico-ipam: the verbs of the CNI specification on top of package nodeipam.
package ipamplugin

import (
	"context"
	"net/netip"
	"time"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"

	"calico-cni/internal/adding"
	"calico-cni/internal/deadline"
	"calico-cni/internal/deletion"
	"calico-cni/pkg/nodeipam"
)

// checkDeadline bounds a CHECK.
const checkDeadline = 90 * time.Second

// Plugin is calico-ipam.
type Plugin struct{ nodeipam.Host }

// Add allocates the addresses and returns them as an IPAM plugin does.
func (p *Plugin) Add(ctx context.Context, args *skel.CmdArgs) (_ types.Result, err error) {
	c, err := p.Attach("ADD", args)
	if err != nil {
		return nil, err
	}
	var grant nodeipam.Grant
	defer func() { c.Finish(ctx, grant.Addrs(), err) }()
	defer func() { c.Note(err, grant.Last()) }()
	end, err := c.BeginAdd(adding.IPAM)
	if err != nil {
		return nil, err
	}
	defer func() { end(err == nil) }()

	node, err := c.NodeName(c.Conf)
	if err != nil {
		return nil, err
	}
	if err := c.Connect(); err != nil {
		return nil, err
	}
	if err := c.SettleOwn(ctx); err != nil {
		return nil, err
	}
	view, namespace, err := c.Gather(ctx, node)
	if err != nil {
		return nil, err
	}
	if grant, err = c.Allocations().Assign(ctx, view, c.Request(node, namespace)); err != nil {
		return nil, err
	}
	return grant.ResultFor(c.Conf.Type), nil
}

// Del releases whatever the attachment holds. To hold nothing is a success, and so is a release that has to wait.
func (p *Plugin) Del(ctx context.Context, args *skel.CmdArgs) (err error) {
	c, err := p.Detach(args)
	if err != nil {
		return err
	}
	var freed nodeipam.Freed
	defer func() { c.Finish(ctx, freed.Addrs, err) }()
	defer func() { c.EndDel(freed, err) }()

	if c.BeginDel(deletion.IPAM) {
		freed.All = true
		return nil
	}
	// The container may have other interfaces.
	evidence := c.Evidence(nodeipam.OthersUnknown)
	if freed, err = release(ctx, c, evidence); nodeipam.CanWait(err) {
		c.Note(err, false)
		return c.Postpone(err, evidence, true, freed.Addrs)
	}
	if err != nil {
		return err
	}
	c.NoteRelease(freed.Addrs)
	c.Settled(ctx, freed)
	c.SettleSome(ctx)
	return nil
}

func release(ctx context.Context, c *nodeipam.Command, e nodeipam.Evidence) (nodeipam.Freed, error) {
	ctx, cancel := deadline.Within(ctx, nodeipam.ReleaseDeadline, "the release of the addresses")
	defer cancel()
	if err := c.Connect(); err != nil {
		return nodeipam.Freed{}, err
	}
	held, err := c.LookUp(ctx)
	if err != nil {
		return nodeipam.Freed{}, err
	}
	return c.Allocations().Release(ctx, held, e)
}

// Check returns nil when the attachment holds the addresses that its result says.
func (p *Plugin) Check(ctx context.Context, args *skel.CmdArgs) (err error) {
	ctx, cancel := deadline.Within(ctx, checkDeadline, "CHECK")
	defer cancel()
	c, err := p.Attach("CHECK", args)
	if err != nil {
		return err
	}
	previous, err := nodeipam.Previous(c.Conf)
	if err != nil {
		return err
	}
	addrs := nodeipam.AddrsOf(previous, c.ID.IfName, args.Netns)
	defer func() { c.Finish(ctx, addrs, err) }()
	if err := c.Connect(); err != nil {
		return err
	}
	return c.Allocations().Check(ctx, c.Conf.Name, c.ID, addrs)
}

// Status returns nil when an ADD could get addresses now, and else why not.
func (p *Plugin) Status(ctx context.Context, args *skel.CmdArgs) error {
	c, err := p.OnNode("STATUS", args)
	if err != nil {
		return err
	}
	return c.Standing(ctx)
}

// GC gives back what the node holds in the network beyond what the runtime calls valid.
func (p *Plugin) GC(ctx context.Context, args *skel.CmdArgs) (err error) {
	c, err := p.OnNode("GC", args)
	if err != nil {
		return err
	}
	var freed []netip.Addr
	defer func() { c.Finish(ctx, freed, err) }()
	spared, err := c.Spared()
	if err != nil {
		return err
	}
	if freed, err = c.Collect(ctx, spared); err == nil {
		c.SweepMarks(spared)
	}
	return err
}
