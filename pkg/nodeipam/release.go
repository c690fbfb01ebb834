// SPDX-License-Identifier: Apache-2.0

package nodeipam

import (
	"context"
	"net/netip"
	"slices"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/pending"
)

// Evidence is what a release knows about the attachment besides its handle.
type Evidence struct {
	// Others says whether the container has other interfaces in the network.
	Others Others
	// Addrs are the attachment's addresses according to the runtime, none if it did not pass them.
	Addrs []netip.Addr
	// Released says that an earlier DEL has released everything that certainly belonged to the attachment.
	Released bool
	// Nodes are the names of the attachment's node. If empty, the node is unknown.
	Nodes []string
	// Fresh says that the runtime has passed Addrs to this command, and not to an earlier one that queued the release.
	Fresh bool
}

// Others says whether a container has other interfaces in the network of an attachment. A queued release stores it.
type Others = pending.Others

// What is known about other interfaces.
const (
	OthersUnknown = pending.OthersUnknown
	NoOthers      = pending.NoOthers
	SomeOthers    = pending.SomeOthers
)

// ofNode reports whether an address was allocated by the node of the attachment. It returns true if that is unknown.
func (e Evidence) ofNode(owner map[string]string) bool {
	return len(e.Nodes) == 0 || owner["node"] == "" || slices.Contains(e.Nodes, owner["node"])
}

// Freed is the result of a release.
type Freed struct {
	Addrs []netip.Addr
	// Cooling says that the addresses are in their cooldown.
	Cooling bool
	// All says that the attachment had a handle and that the handle is deleted: no address is allocated to it.
	All bool
}

// Release releases the addresses of the holdings. No addresses is a success.
func (a Allocations) Release(ctx context.Context, h Holdings, e Evidence) (Freed, error) {
	if h.None() {
		return Freed{}, nil
	}
	unlock, _ := a.lock(ctx, a.LockFile+ReleaseSuffix, releaseLockTimeout)
	defer unlock()
	allocator := a.allocator(a.cache)
	released, err := allocator.Release(ctx, h.holder, h.matcher(e), h.config.Cooldown)
	// A failure does not fail the DEL.
	if err := allocator.ReleaseUnselected(ctx, a.Cluster, released.Emptied, h.config.Cooldown); err != nil {
		a.Log.Warn("cannot release empty blocks; a later command retries", "error", err)
	}
	freed := Freed{Addrs: released.Addrs, Cooling: h.config.Cooldown > 0, All: released.Deleted}
	if err == nil && !h.legacy && !freed.All && e.Fresh && len(e.Nodes) > 0 {
		freed.Addrs, err = a.releaseOfOldName(ctx, h, e, freed.Addrs)
	}
	if err != nil || len(freed.Addrs) > 0 || freed.All || h.legacy || h.id.IfName == usualIfName || e.Others == NoOthers {
		return freed, err
	}
	return a.releaseUnnamed(ctx, h, e)
}

// releaseOfOldName releases the addresses that the runtime passed but that another node allocated, according to their
// owner: the node had another name when it allocated them. An address under the handle of the attachment belongs to it,
// because no two containers have the same address. It returns all released addresses.
//
// Without addresses from the runtime, an address of another node stays. Containers on two nodes may have the same ID.
func (a Allocations) releaseOfOldName(
	ctx context.Context, h Holdings, e Evidence, freed []netip.Addr,
) ([]netip.Addr, error) {
	allocator := a.allocator(a.cache)
	held, err := allocator.HeldByHandle(ctx, h.handle)
	if err != nil {
		return freed, err
	}
	mine := heldFor(h.id.IfName, e.Others == NoOthers)
	for _, x := range held {
		if e.ofNode(x.Owner) || !mine(x.Owner) || !samePod(h.id, x.Owner) {
			continue
		}
		if !slices.Contains(e.Addrs, x.Addr) {
			a.Log.Warn("an address of a container with the same ID stays, because another node allocated it; if this node "+
				"had that name, run calicoctl ipam release", "address", x.Addr, "node", x.Owner["node"], "this_node", e.Nodes[0])
			continue
		}
		done, err := allocator.ReleaseHolding(ctx, h.handle, x.Block, x.Holding, h.config.Cooldown)
		if err != nil {
			return freed, err
		}
		if done {
			freed = append(freed, x.Addr)
		}
	}
	return freed, nil
}

// releaseUnnamed releases addresses of an interface other than the usual one that Calico allocated, which names no
// interface.
func (a Allocations) releaseUnnamed(ctx context.Context, h Holdings, e Evidence) (freed Freed, err error) {
	allocator := a.allocator(a.cache)
	freed.Cooling = h.config.Cooldown > 0
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
	// The handle is deleted with its last address, unless another command has written it meanwhile.
	holder, err := allocator.Lookup(ctx, h.handle)
	if err != nil || !holder.Found() {
		freed.All = err == nil
		return freed, err
	}
	released, err := allocator.Release(ctx, holder, heldFor(h.id.IfName, false), h.config.Cooldown)
	freed.All = released.Deleted
	return freed, err
}

// unnamed returns which addresses that name no interface belong to an interface other than the usual one. If the
// runtime passed addresses, it returns those. Otherwise it returns all, unless the container has other interfaces, an
// address names an interface, or an earlier DEL has released the attachment's own, which name their interface.
func unnamed(held []ipam.Held, e Evidence) (own []ipam.Held) {
	told := len(e.Addrs) > 0
	for _, h := range held {
		named := h.Owner[ownerInterface] != ""
		if !told && (named || e.Released || e.Others == SomeOthers) {
			return nil
		}
		if !named && e.ofNode(h.Owner) && (!told || slices.Contains(e.Addrs, h.Addr)) {
			own = append(own, h)
		}
	}
	return own
}

// Left returns the addresses under the handle that may belong to the attachment: they name no other interface, and the
// runtime did not pass other addresses. If a release has released nothing and Left is not empty, it is incomplete.
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
