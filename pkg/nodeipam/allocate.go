// SPDX-License-Identifier: Apache-2.0

package nodeipam

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"calico-cni/internal/deadline"
	"calico-cni/internal/hostlock"
	"calico-cni/pkg/ipam"
	"calico-cni/pkg/netconf"
	"calico-cni/pkg/workload"
)

// ReleaseSuffix makes the name of the releases' lock file from that of the assignments'.
const ReleaseSuffix = ".release"

// How long a caller waits for the lock of the node.
const (
	assignPatience  = 30 * time.Second
	releasePatience = 5 * time.Second
	// assignDeadline bounds an assignment, the wait for the lock apart. The kubelet gives a sandbox four minutes.
	assignDeadline = 90 * time.Second
)

// Allocations are the addresses of one node, in a cluster's store.
type Allocations struct {
	Store   ipam.Store
	Cluster ipam.Cluster
	// LockFile serialises the assignments of the node. A file beside it serialises the releases, so that a DEL does not
	// wait for ADDs.
	LockFile string
	borrowed borrowed
	// cache has the blocks of the host's nodes.
	cache blockCache
	Now   func() time.Time
	Log   *slog.Logger
}

// Request is the request of one attachment.
type Request struct {
	// Network is the name of the network, Node the node's.
	Network, Node string
	ID            workload.ID
	// IPv4 and IPv6 are the requests for each family.
	IPv4, IPv6 Family
	// NamespaceLabels are those of the pod's namespace.
	NamespaceLabels map[string]string
	// Another requests additional addresses; else the attachment gets those that it holds already.
	Another bool
	// NamesInterface stores the name of the interface with the allocation even if it is eth0.
	NamesInterface bool
}

// Family is the request for one address family.
type Family struct {
	Wanted bool
	// Pools are names or CIDRs; empty leaves the choice to the selectors.
	Pools []string
	// Addr is the specific address requested, if any.
	Addr netip.Addr
}

// Gather reads what an assignment of the usual request needs, in one parallel round.
func (a Allocations) Gather(ctx context.Context, usual Request) (ipam.View, error) {
	cache := a.cacheOf(usual.Node)
	blocks, verify := cache.forAll(usual.wants())
	return a.allocator(cache).Gather(ctx, a.Cluster, usual.Node, blocks, verify)
}

// Grant is the result of an assignment.
type Grant struct {
	// Assigned has the addresses, IPv4 first.
	Assigned []ipam.Assigned
	// Requested has those addresses that were specifically requested.
	Requested []netip.Addr
	request   ipam.Request
	// cooldown is that of the cluster.
	cooldown time.Duration
}

// Assign allocates the addresses of the attachment, all or none.
func (a Allocations) Assign(ctx context.Context, view ipam.View, r Request) (Grant, error) {
	wants := r.wants()
	if len(wants) == 0 {
		return Grant{}, ErrNoFamily
	}
	if err := cmp.Or(checkNode(r.Node), checkHandle(r.ID.HandleID(r.Network))); err != nil {
		return Grant{}, err
	}
	ctx, cancel := deadline.Within(ctx, assignPatience+assignDeadline, "the allocation of the addresses")
	defer cancel()
	g := Grant{cooldown: view.Config.Cooldown, request: ipam.Request{
		Node: r.Node, Handle: r.ID.HandleID(r.Network), Owner: r.owner(a.Now()),
		NamespaceLabels: r.NamespaceLabels, Wants: wants,
	}}
	if !r.Another {
		g.request.SameAttachment = r.again
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
		unlock, waited = a.lock(ctx, a.LockFile, assignPatience)
		return waited
	}
	var err error
	g.Assigned, err = allocator.Assign(ctx, view, g.request)
	a.remember(cache, view, g.Assigned)
	return g, err
}

// again reports whether a holding of the handle is the result of an earlier run of the same request.
func (r Request) again(owner map[string]string) bool {
	if node := owner["node"]; node != "" && node != r.Node {
		// Containers on two nodes may have one ID: cnitool makes it from the path of the network namespace.
		return false
	}
	if r.NamesInterface {
		// What names no interface is Calico's, and may be another interface's.
		return owner[ownerInterface] == r.ID.IfName
	}
	return heldFor(r.ID.IfName, false)(owner)
}

func (r Request) wants() (wants []ipam.Want) {
	if r.IPv4.Wanted {
		wants = append(wants, ipam.Want{Pools: r.IPv4.Pools, Addr: r.IPv4.Addr})
	}
	if r.IPv6.Wanted {
		wants = append(wants, ipam.Want{IPv6: true, Pools: r.IPv6.Pools, Addr: r.IPv6.Addr})
	}
	return wants
}

// remember stores which block has room, for the next ADD of the node, and which blocks of other nodes it borrows from,
// for GC. A DEL finds the latter by its handle.
func (a Allocations) remember(cache blockCache, view ipam.View, assigned []ipam.Assigned) {
	if len(assigned) > 0 {
		cache.update(assigned, view.Verified)
	}
	for _, got := range assigned {
		if !got.Borrowed {
			continue
		}
		if err := a.borrowed.add(got.Block); err != nil {
			a.Log.Warn("cannot record the borrowed block; GC will not find this address", "address", got.Addr, "error", err)
		}
	}
}

// Last reports whether the block of some address is full, or belongs to another node.
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
	if cache.blocks != nil {
		allocator.Cache = cache
	}
	return allocator
}

// ErrNoFamily says that the configuration requests no address.
var ErrNoFamily = errors.New("neither an IPv4 nor an IPv6 address is wanted; set ipam.assign_ipv4 or " +
	"ipam.assign_ipv6 to \"true\"")

// owner is what is stored with an address about its holder. The timestamp is in the form that every reader of these
// objects expects.
func (r Request) owner(now time.Time) map[string]string {
	owner := map[string]string{"node": r.Node, "timestamp": now.UTC().String()}
	if r.ID.Kubernetes() {
		owner["pod"], owner["namespace"] = r.ID.Pod, r.ID.Namespace
	}
	if r.NamesInterface || r.ID.IfName != usualIfName {
		owner[ownerInterface] = r.ID.IfName
	}
	return owner
}

// lock waits for a lock of the node and returns what gives it back, and whether others had it. A lock that cannot be
// had, or not in time, is done without: it only keeps the commands of a node from getting in each other's way, and the
// store keeps them apart.
func (a Allocations) lock(ctx context.Context, file string, patience time.Duration) (unlock func(), waited bool) {
	unlock, err := hostlock.Try(file)
	if err == nil {
		return unlock, false
	}
	ctx, cancel := deadline.Within(ctx, patience, "the wait for the lock of the node")
	defer cancel()
	if unlock, err = hostlock.Acquire(ctx, file); err != nil {
		a.Log.Warn("going on without the lock of the node", "error", err)
		return func() {}, true
	}
	return unlock, true
}

// checkNode refuses a node that Kubernetes cannot have, before its name ends up in those of objects.
func checkNode(name string) error {
	if !workload.ValidSubdomain(name) {
		return fmt.Errorf("%w: nodename: %q cannot be the name of a Kubernetes node: want lower-case letters, digits, "+
			"hyphens and dots, 253 at most; "+
			"see nodename and hostname in the CNI configuration, and the nodename file", netconf.ErrInvalid, name)
	}
	return nil
}

// checkHandle refuses a handle that cannot be the name of an object: a network or a container ID that CNI allows and
// Kubernetes does not.
func checkHandle(id string) error {
	if !workload.ValidSubdomain(strings.ToLower(id)) {
		return fmt.Errorf("%w: network name and container ID make the handle %q, which cannot be the name of a Kubernetes "+
			"object: "+
			"want letters, digits, hyphens and dots, 253 at most", workload.ErrInvalidArgs, id)
	}
	return nil
}
