// SPDX-License-Identifier: Apache-2.0

package nodeipam

import (
	"cmp"
	"context"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"calico-cni/internal/deadline"
	"calico-cni/internal/nodestate"
	"calico-cni/pkg/ipam"
)

// Allocations allocates and releases the addresses of one node in the store of a cluster.
type Allocations struct {
	Store   ipam.Store
	Cluster ipam.Cluster
	// LockFile serializes the assignments of the node. A file beside it serializes the releases, so that a DEL does not
	// wait for ADDs.
	LockFile string
	borrowed nodestate.Borrowed
	// cache is the block cache, without the name of a node.
	cache blockCache
	Now   func() time.Time
	Log   *slog.Logger
}

// Gather reads what the assignment of the usual request needs, in one round of parallel requests.
func (a Allocations) Gather(ctx context.Context, usual Request) (ipam.View, error) {
	cache := a.cacheOf(usual.Node)
	blocks, verify := cache.forAll(usual.wants())
	return a.allocator(cache).Gather(ctx, a.Cluster, usual.Node, blocks, verify)
}

// Grant is the result of an assignment.
type Grant struct {
	// Assigned has the addresses, IPv4 first.
	Assigned []ipam.Assigned
	// Requested has the specific addresses of the request.
	Requested []netip.Addr
	request   ipam.Request
	// cooldown is that of the cluster.
	cooldown time.Duration
}

// Assign allocates all addresses of the attachment, or none.
func (a Allocations) Assign(ctx context.Context, view ipam.View, r Request) (Grant, error) {
	wants := r.wants()
	if len(wants) == 0 {
		return Grant{}, ErrNoFamily
	}
	if err := cmp.Or(checkNode(r.Node), checkHandle(r.ID.HandleID(r.Network))); err != nil {
		return Grant{}, err
	}
	ctx, cancel := deadline.Within(ctx, assignLockTimeout+assignDeadline, "the allocation of the addresses")
	defer cancel()
	g := Grant{cooldown: view.Config.Cooldown, request: ipam.Request{
		Node: r.Node, Handle: r.ID.HandleID(r.Network), Owner: r.owner(a.Now()),
		NamespaceLabels: r.NamespaceLabels, Wants: wants, Subnet: r.Subnet,
	}}
	if !r.Additional {
		g.request.SameAttachment = r.isRepeated
	}
	for _, w := range wants {
		if w.Addr.IsValid() {
			g.Requested = append(g.Requested, w.Addr)
		}
	}
	cache := a.cacheOf(r.Node)
	allocator := a.allocator(cache)
	unlock := func() {}
	defer func() { unlock() }()
	allocator.LockNode = func(ctx context.Context) (waited bool) {
		unlock, waited = a.lock(ctx, a.LockFile, assignLockTimeout)
		return waited
	}
	var err error
	g.Assigned, err = allocator.Assign(ctx, view, g.request)
	a.record(cache, view, g.Assigned)
	return g, err
}

// record writes to disk which block has free addresses, for the next ADD of the node, and from which blocks the node
// has borrowed, for GC. DEL finds borrowed addresses by the handle.
func (a Allocations) record(cache blockCache, view ipam.View, assigned []ipam.Assigned) {
	if cache.codec != nil && len(assigned) > 0 {
		cache.update(assigned, view.Verified)
	}
	for _, got := range assigned {
		if !got.Borrowed {
			continue
		}
		if err := a.borrowed.Add(got.Block); err != nil {
			a.Log.Warn("cannot record the borrowed block; GC will not find this address", "address", got.Addr, "error", err)
		}
	}
}

// Addrs returns the addresses of the grant.
func (g Grant) Addrs() []netip.Addr {
	var out []netip.Addr
	for _, a := range g.Assigned {
		out = append(out, a.Addr)
	}
	return out
}

// Last reports whether the block of an address is full or belongs to another node.
func (g Grant) Last() bool {
	return slices.ContainsFunc(g.Assigned, func(a ipam.Assigned) bool { return a.Last || a.Borrowed })
}

// Withdraw releases a grant after the ADD has failed.
func (a Allocations) Withdraw(ctx context.Context, g Grant) error {
	return a.allocator(a.cache).Withdraw(ctx, g.request, g.Assigned, g.cooldown)
}

// cacheOf returns the block cache of a node.
func (a Allocations) cacheOf(node string) blockCache {
	r := a.cache
	r.node = node
	return r
}

func (a Allocations) allocator(cache blockCache) *ipam.Allocator {
	allocator := &ipam.Allocator{Store: a.Store, Now: a.Now, Wait: ipam.Backoff(ipam.Sleep, rand.Int64N)}
	if cache.codec != nil {
		allocator.Cache = cache
	}
	return allocator
}
