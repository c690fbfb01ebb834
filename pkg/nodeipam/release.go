// SPDX-License-Identifier: Apache-2.0

package nodeipam

import (
	"context"
	"net/netip"
	"slices"

	"golang.org/x/sync/errgroup"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/workload"
)

// usualIfName is what every runtime calls a container's first interface. Holdings do not say that they are for it, as
// Calico's do not; those for another interface do, in ownerInterface.
const (
	usualIfName    = "eth0"
	ownerInterface = "interface"
)

// Holdings is the handle of an attachment as it was looked up.
type Holdings struct {
	holder ipam.Holder
	id     workload.ID
	// handle is the ID of the handle that was found. legacy says that it is of the form that old versions used.
	handle string
	legacy bool
	config ipam.Config
}

// Evidence is what a release knows about the attachment beside its handle.
type Evidence struct {
	// Others says whether the container has other interfaces in the network.
	Others Others
	// Addrs are the addresses that the runtime says the attachment had, none where it does not say.
	Addrs []netip.Addr
	// Released says that an earlier release has given back what was certainly the attachment's.
	Released bool
	// Nodes are the names of the node whose attachment it is; empty for that of any.
	Nodes []string
}

// Others says whether a container has other interfaces in the network of an attachment.
type Others int

// What may be known of other interfaces.
const (
	OthersUnknown Others = iota
	NoOthers
	SomeOthers
)

// Freed is what a release gave back.
type Freed struct {
	Addrs []netip.Addr
	// All says that the attachment had a handle, and that it is deleted: no address is allocated to it any more.
	All bool
}

// None reports whether the attachment had no handle.
func (h Holdings) None() bool { return !h.holder.Found() }

// Lookup reads what an attachment holds: by its handle, or, where there is none, by the one that old versions used. It
// fails when the datastore is not ready.
func (a Allocations) Lookup(ctx context.Context, network string, id workload.ID) (Holdings, error) {
	h := Holdings{id: id}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.Cluster.Ready(ctx) })
	g.Go(func() (err error) { h.config, err = a.Cluster.Config(ctx); return err })
	g.Go(func() error { return a.holder(ctx, &h, id.HandleID(network), id.LegacyHandleID()) })
	err := g.Wait()
	return h, err
}

// holder looks up a handle, and where there is none, the one of old versions, if there may be one.
func (a Allocations) holder(ctx context.Context, h *Holdings, own, legacy string) (err error) {
	allocator := a.allocator(a.cache)
	h.handle = own
	h.holder, err = allocator.Lookup(ctx, own)
	if err != nil || h.holder.Found() || legacy == "" || legacy == own {
		return err
	}
	h.handle, h.legacy = legacy, true
	h.holder, err = allocator.Lookup(ctx, legacy)
	return err
}

// meant returns which owners of the handle are the attachment.
func (h Holdings) meant(e Evidence) func(owner map[string]string) bool {
	mine := heldFor(h.id.IfName, e.Others == NoOthers)
	if h.legacy {
		// It may be the handle of another container too, in a network of the namespace's name.
		mine = func(owner map[string]string) bool {
			nameless := owner["pod"] == "" && owner["node"] == "" && owner["timestamp"] == ""
			return nameless || owner["pod"] == h.id.Pod && owner["namespace"] == h.id.Namespace
		}
	}
	return func(owner map[string]string) bool { return mine(owner) && e.ofNode(owner) }
}

// ofNode reports whether an address was allocated by the node of the attachment. It returns true if that is unknown.
func (e Evidence) ofNode(owner map[string]string) bool {
	return len(e.Nodes) == 0 || owner["node"] == "" || slices.Contains(e.Nodes, owner["node"])
}

// heldFor says of a handle's owners which are those of one interface. alone says that the container is known to have no
// other interface in the network: what names no interface is this one's then.
func heldFor(ifName string, alone bool) func(owner map[string]string) bool {
	return func(owner map[string]string) bool {
		named := owner[ownerInterface]
		return named == ifName || named == "" && (ifName == usualIfName || alone)
	}
}

// Release gives back what was looked up. To hold nothing is a success.
func (a Allocations) Release(ctx context.Context, h Holdings, e Evidence) (Freed, error) {
	if h.None() {
		return Freed{}, nil
	}
	unlock, _ := a.lock(ctx, a.LockFile+ReleaseSuffix, releasePatience)
	defer unlock()
	allocator := a.allocator(a.cache)
	released, err := allocator.Release(ctx, h.holder, h.meant(e), h.config.Cooldown)
	// Housekeeping, for which no DEL waits.
	if err := allocator.ReleaseUnselected(ctx, a.Cluster, released.Emptied, h.config.Cooldown); err != nil {
		a.Log.Warn("leaving empty blocks for later", "error", err)
	}
	freed := Freed{Addrs: released.Addrs, All: released.Deleted}
	if err != nil || len(freed.Addrs) > 0 || freed.All || h.legacy || h.id.IfName == usualIfName || e.Others == NoOthers {
		return freed, err
	}
	return a.releaseUnnamed(ctx, h, e)
}

// releaseUnnamed gives back addresses of an interface that is not the usual one, and whose holdings do not name it:
// Calico names no interface.
func (a Allocations) releaseUnnamed(ctx context.Context, h Holdings, e Evidence) (freed Freed, err error) {
	allocator := a.allocator(a.cache)
	held, err := allocator.HeldByHandle(ctx, h.handle)
	if err != nil {
		return freed, err
	}
	for _, x := range unnamed(held, e) {
		done, err := allocator.ReleaseHolding(ctx, h.handle, x.Block, x.Holding, h.config.Cooldown)
		if err != nil {
			return freed, err
		}
		if done {
			freed.Addrs = append(freed.Addrs, x.Addr)
		}
	}
	if len(freed.Addrs) < len(held) {
		return freed, nil
	}
	// The handle is gone with its last address, unless another command has written to it meanwhile.
	holder, err := allocator.Lookup(ctx, h.handle)
	if err != nil || !holder.Found() {
		freed.All = err == nil
		return freed, err
	}
	released, err := allocator.Release(ctx, holder, heldFor(h.id.IfName, false), h.config.Cooldown)
	freed.All = released.Deleted
	return freed, err
}

// unnamed returns which of a handle's holdings that name no interface belong to an interface other than the usual one,
// when no holding names that interface. Where the runtime says which addresses the attachment had, it is those. Where
// it does not, it is all, unless the container has other interfaces, a holding names one, or the attachment's own were
// released before: those of our own are named.
func unnamed(held []ipam.Held, e Evidence) (mine []ipam.Held) {
	told := len(e.Addrs) > 0
	for _, h := range held {
		named := h.Owner[ownerInterface] != ""
		if !told && (named || e.Released || e.Others == SomeOthers) {
			return nil
		}
		if !named && e.ofNode(h.Owner) && (!told || slices.Contains(e.Addrs, h.Addr)) {
			mine = append(mine, h)
		}
	}
	return mine
}

// Left returns the addresses that the handle holds though they may be the attachment's: they name no other interface,
// and the runtime did not say that the attachment had others. A release that gave back nothing has not done its work
// then.
func (a Allocations) Left(ctx context.Context, h Holdings, e Evidence) (addrs []netip.Addr, err error) {
	if h.None() || h.legacy || e.Released {
		return nil, nil
	}
	held, err := a.allocator(a.cache).HeldByHandle(ctx, h.handle)
	for _, x := range held {
		named := x.Owner[ownerInterface]
		if (named == "" || named == h.id.IfName) && (len(e.Addrs) == 0 || slices.Contains(e.Addrs, x.Addr)) {
			addrs = append(addrs, x.Addr)
		}
	}
	return addrs, err
}
