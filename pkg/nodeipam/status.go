package nodeipam

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"calico-cni/internal/deadline"
	"calico-cni/internal/trouble"
	"calico-cni/pkg/ipam"
	"calico-cni/pkg/kube"
	"calico-cni/pkg/netconf"
)

// ErrCannotAdd says that an ADD would fail at this moment. The error around it says why, and what to do.
var ErrCannotAdd = errors.New("pods cannot be added on this node")

const (
	// askPatience bounds what a STATUS asks of the API server.
	askPatience = 4 * time.Second
	// askAgain is for how long a shortage of addresses is taken for granted: to make sure takes several requests.
	askAgain = 10 * time.Second
)

// Note remembers what an outcome of the command means for the next: trouble that they will have too, or its end. short
// says that an ADD took the last address of the node's blocks.
func (c *Command) Note(err error, short bool) {
	before, had := c.trouble().Load(c.Conf.Name)
	now := trouble.Report{Since: c.Now().UTC()}
	switch {
	case errors.Is(err, ipam.ErrNoAddress):
		now.Kind, now.Reason = trouble.Addresses, err.Error()
		if c.Verb == "STATUS" {
			// It asked for what any pod would get. An ADD may have asked for more than that.
			now.Confirmed = c.boot()
		}
	case CanWait(err):
		now.Kind, now.Reason, now.Refused = trouble.API, err.Error(), errors.Is(err, kube.ErrUnauthorized)
	case err != nil:
		return
	case short:
		now.Kind, now.Reason = trouble.Addresses, "the node's blocks are full"
	case had:
		c.trouble().Clear(c.Conf.Name)
		return
	default:
		return
	}
	if had && before.Kind == now.Kind {
		now.Since = before.Since
	}
	if err := c.trouble().Store(c.Conf.Name, now); err != nil {
		c.Log.Warn("STATUS will not tell of this", "trouble", now.Reason, "error", err)
	}
}

// NoteRelease remembers that a release went through: the API server was reached, and a shortage of addresses is over if it
// gave some back. One that found nothing, as that after an ADD which got none, says nothing about a shortage.
func (c *Command) NoteRelease(released []netip.Addr) {
	if before, had := c.trouble().Load(c.Conf.Name); had && (before.Kind == trouble.API || len(released) > 0) {
		c.trouble().Clear(c.Conf.Name)
	}
}

// Standing returns nil when an ADD could get addresses, and else an error that wraps ErrCannotAdd. While all was well
// lately, it looks at files alone. Else it asks the API server, and settles the releases that wait for it.
func (c *Command) Standing(ctx context.Context) error {
	if err := c.standing(ctx); err != nil {
		return fmt.Errorf("%w: %w", ErrCannotAdd, err)
	}
	return nil
}

func (c *Command) standing(ctx context.Context) error {
	node, err := c.NodeName(c.Conf)
	if err != nil {
		return err
	}
	if err := c.Connect(); err != nil {
		return err
	}
	if err := c.Client.CheckExpiry(c.Now()); err != nil {
		return err
	}
	report, troubled := c.trouble().Load(c.Conf.Name)
	waiting, err := c.queue().Len()
	if !troubled && (waiting == 0 || err != nil || c.pace().Delayed()) {
		return nil
	}
	ctx, cancel := deadline.Within(ctx, askPatience, "STATUS")
	defer cancel()
	if troubled && report.Kind == trouble.Addresses && c.lately(report.Confirmed) {
		return fmt.Errorf("%s (since %s)", report.Reason, report.Since.Format(time.RFC3339))
	}
	err = c.ask(ctx, node, report)
	c.Note(err, false)
	return err
}

// lately reports whether a time since boot is less than askAgain ago.
func (c *Command) lately(at time.Duration) bool {
	age := c.boot() - at
	return at > 0 && age >= 0 && age < askAgain
}

// ask makes sure of what was remembered.
func (c *Command) ask(ctx context.Context, node string, report trouble.Report) error {
	allocations := c.Allocations()
	if report.Kind != trouble.Addresses || c.Conf.IPAM.Type != netconf.CalicoIPAM {
		if err := allocations.Cluster.Ready(ctx); err != nil {
			return err
		}
		c.SettleSome(ctx)
		return nil
	}
	view, err := allocations.Gather(ctx, c.UsualRequest(node))
	if err != nil {
		return err
	}
	c.SettleSome(ctx)
	return allocations.Room(ctx, view, c.UsualRequest(node))
}

// UsualRequest is what a pod asks for that has no wishes of its own.
func (c *Command) UsualRequest(node string) Request {
	return Request{
		Network: c.Conf.Name, Node: node,
		IPv4: Family{Wanted: c.Conf.IPAM.AssignIPv4, Pools: c.Conf.IPAM.IPv4Pools},
		IPv6: Family{Wanted: c.Conf.IPAM.AssignIPv6, Pools: c.Conf.IPAM.IPv6Pools},
	}
}

// Room returns nil when the request could be given its addresses now, and else why not. Nothing is written.
func (a Allocations) Room(ctx context.Context, view ipam.View, r Request) error {
	return a.allocator(a.memory(r.Node)).Room(ctx, view, ipam.Request{Node: r.Node, NamespaceLabels: r.NamespaceLabels, Wants: r.wants()})
}
