// Package nodeipam is the IPAM of one node: it allocates and releases addresses, locks the node, caches the node's blocks,
// keeps records of attachments, queues releases while the API server cannot be reached, and collects leaked allocations.
package nodeipam

import (
	"context"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"

	"calico-cni/internal/deadline"
	"calico-cni/pkg/ipam"
	"calico-cni/pkg/kube"
	"calico-cni/pkg/netconf"
	"calico-cni/pkg/workload"
)

// ReleaseDeadline is how long a DEL tries to release before it queues the release.
const ReleaseDeadline = 20 * time.Second

// LookUp reads what the attachment holds.
func (c *Command) LookUp(ctx context.Context) (Holdings, error) {
	ctx, cancel := deadline.Within(ctx, ReleaseDeadline, "the release of the addresses")
	defer cancel()
	return c.Allocations().Lookup(ctx, c.Conf.Name, c.ID)
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

// Gather reads in one parallel round what the request depends on.
func (c *Command) Gather(ctx context.Context, node string) (view ipam.View, namespace kube.Meta, err error) {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) { view, err = c.Allocations().Gather(ctx, c.UsualRequest(node)); return err })
	if c.ID.Kubernetes() {
		g.Go(func() (err error) { namespace, err = c.ReadNamespace(ctx); return err })
	}
	err = g.Wait()
	return view, namespace, err
}

// Request is what the command asks for the attachment.
func (c *Command) Request(node string, namespace kube.Meta) Request {
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

// Addrs returns the addresses of the grant.
func (g Grant) Addrs() []netip.Addr {
	var out []netip.Addr
	for _, a := range g.Assigned {
		out = append(out, a.Addr)
	}
	return out
}
