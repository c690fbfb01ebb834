// SPDX-License-Identifier: Apache-2.0

// Package ipam allocates addresses from blocks that nodes own, in a store that all nodes share.
//
// The store has compare-and-swap on single rows and no transactions. Every operation is therefore a sequence of
// single writes, in an order that is safe if a crash interrupts it at any point: a handle is counted up before its
// block is written and counted down after; an affinity is pending before its block exists and confirmed after. The next
// operation that reads an incomplete state repairs it.
//
// An assignment has two parts. The plan only reads: it yields the blocks that can serve a request, best first. The
// attempt writes: it claims a block if necessary, counts the handle, and writes the block. The section "Reading order
// in pkg/ipam" of docs/architecture.md lists the steps with the functions that do them.
package ipam

import (
	"context"
	"net/netip"
	"time"

	"calico-cni/pkg/ipam/block"
)

// Allocator assigns and releases addresses in a store.
type Allocator struct {
	Store Store
	// Now is the clock.
	Now func() time.Time
	// Parallel bounds how many independent calls of the store run at the same time. 0 sets no bound.
	Parallel int
	// Cache keeps the blocks of the node. Nil means no cache.
	Cache BlockCache
	// LockNode waits for the node's lock and reports whether it had to wait. An assignment calls it before it writes to
	// a block of the node; the caller unlocks afterwards. The lock only avoids conflicts between requests of one node;
	// correctness does not depend on it. Nil takes no lock.
	LockNode func(ctx context.Context) (waited bool)
	// Wait waits before a write is retried after a conflict; the first retry has number 1. If the context ends first,
	// it returns an error. See Backoff. Nil does not wait.
	Wait func(ctx context.Context, retries int) error
}

// Gather reads a View for a node, in one round of parallel requests. It fails with ErrNotReady while the datastore is
// locked. cached are blocks in which the node recently found room. If there are any, Gather reads only those of them
// that the cache lacks, and does not list the affinities of the node: a list costs the server a scan of all affinities.
//
// With verify, Gather also reads the affinities of the cached blocks. If one of them is not confirmed, it lists the
// affinities, so that Assign repairs it: routes exist for blocks with a confirmed affinity only. A process that was
// killed while it released a block may leave such an affinity, and the cached block does not show it.
func (a *Allocator) Gather(
	ctx context.Context, c Cluster, node string, cached []netip.Prefix, verify bool,
) (View, error) {
	return gather(ctx, a.backend(0), c, node, cached, verify)
}

// Assign allocates an address for each want of the request, in the order of the wants. If it cannot allocate all, it
// reverts those that it has allocated.
// The error then wraps ErrNoAddress, ErrAddrTaken, ErrAddrCooling, ErrBorrowForbidden, pool.ErrUnknownPool or the error
// of the store.
func (a *Allocator) Assign(ctx context.Context, view View, r Request) ([]Assigned, error) {
	return newAttempt(a.backend(view.Config.Cooldown), view, r, a.LockNode).assign(ctx)
}

// Withdraw reverts a successful assignment. The addresses have no cooldown. Other addresses of the handle are kept.
// cooldown is that of other addresses of the blocks. After an error Withdraw can be repeated: it lowers the counts of
// the handle only by the addresses that it has released.
func (a *Allocator) Withdraw(ctx context.Context, r Request, got []Assigned, cooldown time.Duration) error {
	return newReleases(a.backend(cooldown)).withdraw(ctx, r, got)
}

// Lookup reads a handle. A handle that does not exist is not an error, see Holder.Found. A handle whose ID differs only
// in case belongs to another container and counts as not found.
func (a *Allocator) Lookup(ctx context.Context, handle string) (Holder, error) {
	return handles{a.backend(0)}.lookup(ctx, handle)
}

// Release releases all addresses of a handle and deletes the handle. A handle that does not exist is a success. The
// addresses are allocated again only after the cooldown.
//
// mine selects the owners to release; nil selects all. If other owners hold addresses under the same handle, they and
// the handle are kept.
func (a *Allocator) Release(
	ctx context.Context, h Holder, mine func(owner map[string]string) bool, cooldown time.Duration,
) (Released, error) {
	return newReleases(a.backend(cooldown)).release(ctx, h, mine, cooldown)
}

// ReleaseHolding releases one address if it is still allocated to the handle and was allocated at the sequence number
// that the holding names, and then counts the handle down. It reports whether it has released the address. Garbage
// collection uses it, because it decides on state that it read earlier.
func (a *Allocator) ReleaseHolding(
	ctx context.Context, handle string, cidr netip.Prefix, h block.Holding, cooldown time.Duration,
) (bool, error) {
	return newReleases(a.backend(cooldown)).releaseHolding(ctx, handle, cidr, h, cooldown)
}

// ReleaseHeld releases addresses of one handle that were read earlier, if they have not changed since. The handle may
// be missing, or may not count them. mine selects the owners as in Release. It returns the released addresses.
func (a *Allocator) ReleaseHeld(
	ctx context.Context, handle string, held []Held, mine func(owner map[string]string) bool, cooldown time.Duration,
) ([]netip.Addr, error) {
	return newReleases(a.backend(cooldown)).releaseHeld(ctx, handle, held, mine, cooldown)
}

// HeldByHandle returns the addresses of a handle in the blocks that the handle counts, sorted by address.
func (a *Allocator) HeldByHandle(ctx context.Context, handle string) ([]Held, error) {
	return heldByHandle(ctx, a.backend(0), handle)
}

// HeldByNode returns all allocated addresses of the blocks that a node owns, and of more blocks, sorted by address.
// Blocks that cannot be read do not stop the others: their errors are joined and returned with the addresses.
func (a *Allocator) HeldByNode(ctx context.Context, node string, more []netip.Prefix) ([]Held, error) {
	return heldByNode(ctx, a.backend(0), node, more)
}

// Claim claims a block for a node. If the node owns the block afterwards, obstacle is nil. Otherwise it is a
// *TakenError if the block has another owner, or an *OverlapError if the block overlaps another one.
func (a *Allocator) Claim(
	ctx context.Context, node string, cidr netip.Prefix, cooldown time.Duration,
) (obstacle, err error) {
	return newClaims(a.backend(cooldown)).ensure(ctx, node, cidr)
}

// ReleaseIfEmpty releases a block of a node if none of its addresses is allocated or in its cooldown: it deletes the
// block and the affinity. It reports whether it did.
func (a *Allocator) ReleaseIfEmpty(
	ctx context.Context, node string, cidr netip.Prefix, cooldown time.Duration,
) (bool, error) {
	return newBlockReleases(a.backend(cooldown)).releaseIfEmpty(ctx, AffinityKey{node, cidr})
}

// ReleaseUnselected releases those blocks of affinities that are empty and lie in no pool that selects their node. It
// reads the pools, and the nodes if a pool has a node selector. Without keys it makes no request.
func (a *Allocator) ReleaseUnselected(
	ctx context.Context, c Cluster, keys []AffinityKey, cooldown time.Duration,
) error {
	return newBlockReleases(a.backend(cooldown)).releaseUnselected(ctx, c, keys)
}

// backend returns the backend of an operation. cooldown is that of the cluster; it is not needed by operations that do
// not ask whether a block is empty.
func (a *Allocator) backend(cooldown time.Duration) backend {
	b := backend{
		store: a.Store, cache: a.Cache, now: a.Now, cooldown: cooldown, parallel: a.Parallel, wait: a.Wait,
	}
	if b.cache == nil {
		b.cache = noCache{}
	}
	return b
}
