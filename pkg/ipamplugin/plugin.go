// Package ipamplugin is the IPAM plugin, calico-ipam: block IPAM behind the CNI specification's IPAM protocol. The main
// plugin calls the same allocations in its own process.
package ipamplugin

import (
	"context"
	"net/netip"
	"time"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	"golang.org/x/sync/errgroup"

	"calico-cni/internal/adding"
	"calico-cni/internal/deadline"
	"calico-cni/internal/deletion"
	"calico-cni/pkg/ipam"
	"calico-cni/pkg/kube"
	"calico-cni/pkg/netconf"
	"calico-cni/pkg/workload"
)

// Bounds of what a command does, the wait for other commands of the node apart. The kubelet gives a sandbox four minutes.
const (
	commandDeadline = 90 * time.Second
	// ReleaseDeadline is how long a DEL tries, before it leaves its release to later commands.
	ReleaseDeadline = 20 * time.Second
)

// Plugin is calico-ipam.
type Plugin struct{ Host }

// Add allocates the addresses and returns them as an IPAM plugin does.
func (p *Plugin) Add(ctx context.Context, args *skel.CmdArgs) (_ types.Result, err error) {
	c, err := p.Attach("ADD", args)
	if err != nil {
		return nil, err
	}
	var grant Grant
	defer func() { c.Finish(ctx, grant.addrs(), err) }()
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
	view, namespace, err := c.gather(ctx, node)
	if err != nil {
		return nil, err
	}
	if grant, err = c.Allocations().Assign(ctx, view, c.request(node, namespace)); err != nil {
		return nil, err
	}
	return grant.resultFor(c.Conf.Type), nil
}

// Del releases whatever the attachment holds. To hold nothing is a success, and so is a release that has to wait.
func (p *Plugin) Del(ctx context.Context, args *skel.CmdArgs) (err error) {
	c, err := p.Detach(args)
	if err != nil {
		return err
	}
	var freed Freed
	defer func() { c.Finish(ctx, freed.Addrs, err) }()
	defer func() { c.EndDel(freed, err) }()

	if c.BeginDel(deletion.IPAM) {
		freed.All = true
		return nil
	}
	// The container may have other interfaces.
	evidence := c.Evidence(OthersUnknown)
	if freed, err = c.release(ctx, evidence); CanWait(err) {
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

func (c *Command) release(ctx context.Context, e Evidence) (Freed, error) {
	ctx, cancel := deadline.Within(ctx, ReleaseDeadline, "the release of the addresses")
	defer cancel()
	if err := c.Connect(); err != nil {
		return Freed{}, err
	}
	held, err := c.LookUp(ctx)
	if err != nil {
		return Freed{}, err
	}
	return c.Allocations().Release(ctx, held, e)
}

// LookUp reads what the attachment holds.
func (c *Command) LookUp(ctx context.Context) (Holdings, error) {
	ctx, cancel := deadline.Within(ctx, ReleaseDeadline, "the release of the addresses")
	defer cancel()
	return c.Allocations().Lookup(ctx, c.Conf.Name, c.ID)
}

// Check returns nil when the attachment holds the addresses that its result says.
func (p *Plugin) Check(ctx context.Context, args *skel.CmdArgs) (err error) {
	ctx, cancel := deadline.Within(ctx, commandDeadline, "CHECK")
	defer cancel()
	c, err := p.Attach("CHECK", args)
	if err != nil {
		return err
	}
	previous, err := Previous(c.Conf)
	if err != nil {
		return err
	}
	addrs := AddrsOf(previous, c.ID.IfName, args.Netns)
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

// Collect gives back the allocations that are not spared, after the releases that wait.
func (c *Command) Collect(ctx context.Context, spared Spared) ([]netip.Addr, error) {
	node, err := c.NodeName(c.Conf)
	if err != nil {
		return nil, err
	}
	if err := c.Connect(); err != nil {
		return nil, err
	}
	c.SettleAll(ctx)
	freed, err := c.Allocations().Collect(ctx, node, spared)
	if err != nil {
		c.Note(err, false)
		return freed, err
	}
	c.NoteRelease(freed)
	return freed, nil
}

// gather reads in one parallel round what the request depends on.
func (c *Command) gather(ctx context.Context, node string) (view ipam.View, namespace kube.Meta, err error) {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) { view, err = c.Allocations().Gather(ctx, c.UsualRequest(node)); return err })
	if c.ID.Kubernetes() {
		g.Go(func() (err error) { namespace, err = c.ReadNamespace(ctx); return err })
	}
	err = g.Wait()
	return view, namespace, err
}

func (c *Command) request(node string, namespace kube.Meta) Request {
	r := c.UsualRequest(node)
	r.ID = c.ID
	// Other main plugins do not tell a release which interfaces the container has.
	r.NamesInterface = c.Conf.Type != mainPlugin && c.Conf.Type != ""
	if c.ID.Kubernetes() {
		r.NamespaceLabels = NamespaceLabels(c.ID.Namespace, namespace.Labels)
	}
	r.Name(RequestedAddrs(c.Conf, c.Args))
	return r
}

// Name asks for addresses by name, at most one a family, and for nothing else. No address changes nothing.
func (r *Request) Name(addrs []netip.Addr) {
	if len(addrs) == 0 {
		return
	}
	r.IPv4.Wanted, r.IPv6.Wanted = false, false
	for _, addr := range addrs {
		if addr.Is4() {
			r.IPv4.Wanted, r.IPv4.Addr = true, addr
		} else {
			r.IPv6.Wanted, r.IPv6.Addr = true, addr
		}
	}
}

// RequestedAddrs returns the addresses that the runtime asks for by name: those of the configuration, else that of CNI_ARGS.
func RequestedAddrs(conf *netconf.NetConf, args workload.Args) []netip.Addr {
	if addrs := conf.RequestedIPs(); len(addrs) > 0 {
		return addrs
	}
	if args.IP.IsValid() {
		return []netip.Addr{args.IP}
	}
	return nil
}

func (g Grant) addrs() []netip.Addr {
	var out []netip.Addr
	for _, a := range g.Assigned {
		out = append(out, a.Addr)
	}
	return out
}
