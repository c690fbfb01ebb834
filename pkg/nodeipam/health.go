// SPDX-License-Identifier: Apache-2.0

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

// ErrCannotAdd says that an ADD would fail now. The error that wraps it has the cause and the remedy.
var ErrCannotAdd = errors.New("pods cannot be added on this node")

const (
	// askPatience bounds the requests of Health.Check.
	askPatience = 4 * time.Second
	// askAgain is how long a verified shortage of addresses counts: to verify it takes several requests.
	askAgain = 10 * time.Second
)

// Health tells whether an ADD can get addresses on a node. It remembers the last failure on disk.
type Health struct{ node *Node }

// Note records the outcome of a call: a condition that later calls will meet, too, or its end. short says that an ADD
// took the last address of the node's blocks.
func (h Health) Note(err error, short bool) { h.note(err, short, 0) }

// note does so. confirmed is the time since boot at which a shortage was verified with a request as any pod makes it,
// else 0: an ADD may have requested more than that.
func (h Health) note(err error, short bool, confirmed time.Duration) {
	n := h.node
	before, had := n.Disk.trouble().Load(n.Network)
	now := trouble.Report{Since: n.Disk.Now().UTC()}
	switch {
	case errors.Is(err, ipam.ErrNoAddress):
		now.Kind, now.Reason, now.Confirmed = trouble.Addresses, err.Error(), confirmed
	case CanWait(err):
		now.Kind, now.Reason, now.Refused = trouble.API, err.Error(), errors.Is(err, kube.ErrUnauthorized)
	case err != nil:
		return
	case short:
		now.Kind, now.Reason = trouble.Addresses, "the node's blocks are full"
	case had:
		n.Disk.trouble().Clear(n.Network)
		return
	default:
		return
	}
	if had && before.Kind == now.Kind {
		now.Since = before.Since
	}
	if err := n.Disk.trouble().Store(n.Network, now); err != nil {
		n.Log.Warn("STATUS will not tell of this", "trouble", now.Reason, "error", err)
	}
}

// NoteRelease records a successful release: the API server was reached, and a shortage of addresses is over if the
// release freed some.
func (h Health) NoteRelease(released []netip.Addr) {
	n := h.node
	if before, had := n.Disk.trouble().Load(n.Network); had && (before.Kind == trouble.API || len(released) > 0) {
		n.Disk.trouble().Clear(n.Network)
	}
}

// Check returns nil if an ADD can get addresses, and else an error that wraps ErrCannotAdd. It only reads files while
// no failure is recorded and no release is queued. Else it asks the API server, and settles queued releases.
func (h Health) Check(ctx context.Context) error {
	if err := h.findFault(ctx); err != nil {
		return fmt.Errorf("%w: %w", ErrCannotAdd, err)
	}
	return nil
}

func (h Health) findFault(ctx context.Context) error {
	n := h.node
	node, err := n.Name()
	if err != nil {
		return err
	}
	client, err := n.Connect()
	if err != nil {
		return err
	}
	if err := client.CheckExpiry(n.Disk.Now()); err != nil {
		return err
	}
	report, troubled := n.Disk.trouble().Load(n.Network)
	queued, err := n.Disk.queue().Len()
	if !troubled && (queued == 0 || err != nil || n.Disk.pace().Delayed()) {
		return nil
	}
	ctx, cancel := deadline.Within(ctx, askPatience, "STATUS")
	defer cancel()
	if troubled && report.Kind == trouble.Addresses && h.lately(report.Confirmed) {
		return fmt.Errorf("%s (since %s)", report.Reason, report.Since.Format(time.RFC3339))
	}
	err = h.ask(ctx, node, report)
	h.note(err, false, n.Disk.Boot())
	return err
}

// lately reports whether a time since boot is less than askAgain ago.
func (h Health) lately(at time.Duration) bool {
	age := h.node.Disk.Boot() - at
	return at > 0 && age >= 0 && age < askAgain
}

// ask verifies a recorded failure.
func (h Health) ask(ctx context.Context, node string, report trouble.Report) error {
	n := h.node
	allocations := n.Allocations()
	if report.Kind != trouble.Addresses || n.Plugin != netconf.CalicoIPAM {
		if err := allocations.Cluster.Ready(ctx); err != nil {
			return err
		}
		n.Releases().SettleSome(ctx)
		return nil
	}
	view, err := allocations.Gather(ctx, n.UsualRequest(node))
	if err != nil {
		return err
	}
	n.Releases().SettleSome(ctx)
	return allocations.Room(ctx, view, n.UsualRequest(node))
}

// Room returns nil if the request can get its addresses now, and else the cause. It writes nothing.
func (a Allocations) Room(ctx context.Context, view ipam.View, r Request) error {
	return a.allocator(a.cacheOf(r.Node)).Room(ctx, view, ipam.Request{
		Node: r.Node, NamespaceLabels: r.NamespaceLabels, Wants: r.wants(),
	})
}
