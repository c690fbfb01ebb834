// SPDX-License-Identifier: Apache-2.0

package nodeipam

import (
	"context"
	"errors"
	"fmt"
	"time"

	"calico-cni/internal/deadline"
	"calico-cni/internal/nodestate"
	"calico-cni/pkg/ipam"
	"calico-cni/pkg/kubeapi"
	"calico-cni/pkg/netconf"
)

// ErrCannotAdd says that an ADD would fail now. The error that wraps it has the cause and the remedy.
var ErrCannotAdd = errors.New("pods cannot be added on this node")

const (
	// checkTimeout bounds the requests of Health.Check.
	checkTimeout = 4 * time.Second
	// confirmedFor is how long a verified shortage of addresses is reported without a request. Verifying it takes several.
	confirmedFor = 10 * time.Second
)

// Health reports whether an ADD can get addresses on a node. It keeps the condition of the last failure on disk.
type Health struct{ node *Node }

// Note records the outcome of a call: the beginning or the end of a condition. short says that an ADD took the last
// address of the node's blocks.
func (h Health) Note(err error, short bool) { h.record(err, short, 0) }

// record is like Note, and also stores when the shortage was verified. confirmed is the time since boot at which it was
// verified with the request of a usual pod, or 0: an ADD may have requested more.
func (h Health) record(err error, short bool, confirmed time.Duration) {
	n := h.node
	before, had := n.Disk.conditions().Load(n.Network)
	now := nodestate.Condition{Since: n.Disk.Now().UTC()}
	switch {
	case errors.Is(err, ipam.ErrNoAddress):
		now.Kind, now.Reason, now.Confirmed = nodestate.ConditionAddresses, err.Error(), confirmed
	case CanWait(err):
		now.Kind, now.Reason, now.Refused = nodestate.ConditionAPI, err.Error(), errors.Is(err, kubeapi.ErrUnauthorized)
	case err != nil:
		return
	case short:
		now.Kind, now.Reason = nodestate.ConditionAddresses, "the node's blocks are full"
	case had:
		n.Disk.conditions().Clear(n.Network)
		return
	default:
		return
	}
	if had && before.Kind == now.Kind {
		now.Since = before.Since
	}
	h.store(now)
}

func (h Health) store(c nodestate.Condition) {
	n := h.node
	if err := n.Disk.conditions().Store(n.Network, c); err != nil {
		n.Log.Warn("cannot record the condition; STATUS will not report it", "condition", c.Reason, "error", err)
	}
}

// NoteRelease records a successful release: the API server was reached, and a shortage of addresses is over if the
// release freed some. Cooling addresses cannot be allocated yet: the shortage stays, and the next STATUS verifies it.
func (h Health) NoteRelease(freed Freed) {
	n := h.node
	before, had := n.Disk.conditions().Load(n.Network)
	switch {
	case !had:
	case before.Kind == nodestate.ConditionAPI, len(freed.Addrs) > 0 && !freed.Cooling:
		n.Disk.conditions().Clear(n.Network)
	case len(freed.Addrs) > 0 && before.Confirmed != 0:
		before.Confirmed = 0
		h.store(before)
	}
}

// Check returns nil if an ADD can get addresses, and otherwise an error that wraps ErrCannotAdd. It only reads files if
// there is no condition and no queued release. Otherwise it asks the API server, and settles queued releases.
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
	if _, err := n.Connect(); err != nil {
		return err
	}
	if n.CheckExpiry != nil {
		if err := n.CheckExpiry(n.Disk.Now()); err != nil {
			return err
		}
	}
	condition, found := n.Disk.conditions().Load(n.Network)
	queued, err := n.Disk.queue().Len()
	if !found && (queued == 0 || err != nil || n.pace().Delayed()) {
		return nil
	}
	ctx, cancel := deadline.Within(ctx, checkTimeout, "STATUS")
	defer cancel()
	if found && condition.Kind == nodestate.ConditionAddresses && h.isRecent(condition.Confirmed) {
		return fmt.Errorf("%s (since %s)", condition.Reason, condition.Since.Format(time.RFC3339))
	}
	err = h.verify(ctx, node, condition)
	h.record(err, false, n.Disk.Boot())
	return err
}

// isRecent reports whether a time since boot is less than confirmedFor ago.
func (h Health) isRecent(at time.Duration) bool {
	age := h.node.Disk.Boot() - at
	return at > 0 && age >= 0 && age < confirmedFor
}

// verify asks the API server whether a condition still holds.
func (h Health) verify(ctx context.Context, node string, condition nodestate.Condition) error {
	n := h.node
	allocations := n.Allocations()
	if condition.Kind != nodestate.ConditionAddresses || n.Plugin != netconf.CalicoIPAM {
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

// Room returns nil if the request can get its addresses now, and otherwise the cause. It writes nothing.
func (a Allocations) Room(ctx context.Context, view ipam.View, r Request) error {
	return a.allocator(a.cacheOf(r.Node)).Room(ctx, view, ipam.Request{
		Node: r.Node, NamespaceLabels: r.NamespaceLabels, Wants: r.wants(), Subnet: r.Subnet,
	})
}
