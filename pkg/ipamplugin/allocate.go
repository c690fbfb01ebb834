package ipamplugin

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"

	"calico-cni/internal/hostlock"
	"calico-cni/pkg/ipam"
	"calico-cni/pkg/workload"
)

// How long a command waits for the lock of the node. It keeps the commands of a node from disturbing each other;
// correctness is the store's. An ADD that waited in vain is told to try again; a release goes ahead without the lock.
const (
	assignPatience  = 60 * time.Second
	releasePatience = 5 * time.Second
)

// Allocations are the addresses of one node, in a cluster's store.
type Allocations struct {
	Store   ipam.Store
	Cluster ipam.Cluster
	// LockFile serialises the writers of the node.
	LockFile string
	Now      func() time.Time
}

// Request is what one attachment wants.
type Request struct {
	// Network is the name of the network, Node the node's.
	Network, Node string
	ID            workload.ID
	// IPv4 and IPv6 say which families are wanted.
	IPv4, IPv6 Family
	// NamespaceLabels are those of the pod's namespace.
	NamespaceLabels map[string]string
}

// Family is what is wanted of one address family.
type Family struct {
	Wanted bool
	// Pools are names or CIDRs; empty leaves the choice to the selectors.
	Pools []string
	// Addr is the very address wanted, if any.
	Addr netip.Addr
}

// Gather reads what an assignment has to know beforehand, in one parallel round.
func (a Allocations) Gather(ctx context.Context, node string) (ipam.View, error) {
	return ipam.Gather(ctx, a.Cluster, a.Store, node)
}

// Grant is what an assignment gave.
type Grant struct {
	// Assigned has the addresses, IPv4 first.
	Assigned []ipam.Assigned
	// Requested has those addresses that were asked for by name.
	Requested []netip.Addr
	request   ipam.Request
}

// Assign gives the attachment its addresses, all or none.
func (a Allocations) Assign(ctx context.Context, view ipam.View, r Request) (Grant, error) {
	var wants []ipam.Want
	if r.IPv4.Wanted {
		wants = append(wants, ipam.Want{Pools: r.IPv4.Pools, Addr: r.IPv4.Addr})
	}
	if r.IPv6.Wanted {
		wants = append(wants, ipam.Want{IPv6: true, Pools: r.IPv6.Pools, Addr: r.IPv6.Addr})
	}
	if len(wants) == 0 {
		return Grant{}, ErrNoFamily
	}
	unlock, err := a.lock(ctx, assignPatience)
	if err != nil {
		return Grant{}, fmt.Errorf("wait for the other allocations of this node: %w; try again", err)
	}
	defer unlock()
	g := Grant{request: ipam.Request{
		Node: r.Node, Handle: r.ID.HandleID(r.Network), Owner: a.owner(r), NamespaceLabels: r.NamespaceLabels, Wants: wants,
	}}
	for _, w := range wants {
		if w.Addr.IsValid() {
			g.Requested = append(g.Requested, w.Addr)
		}
	}
	g.Assigned, err = a.allocator().Assign(ctx, view, g.request)
	return g, err
}

// Withdraw takes a grant back, when what it was for has failed.
func (a Allocations) Withdraw(ctx context.Context, g Grant) error {
	return a.allocator().Withdraw(ctx, g.request, g.Assigned)
}

func (a Allocations) allocator() *ipam.Allocator { return &ipam.Allocator{Store: a.Store, Now: a.Now} }

// ErrNoFamily says that the configuration asks for no address at all.
var ErrNoFamily = errors.New("neither an IPv4 nor an IPv6 address is wanted; set ipam.assign_ipv4 or ipam.assign_ipv6 to \"true\"")

// owner is what is stored with an address about its holder. The timestamp is in the form that every reader of these objects expects.
func (a Allocations) owner(r Request) map[string]string {
	owner := map[string]string{"node": r.Node, "timestamp": a.Now().UTC().String()}
	if r.ID.Kubernetes() {
		owner["pod"], owner["namespace"] = r.ID.Pod, r.ID.Namespace
	}
	return owner
}

// Holdings are the handles of an attachment as they were looked up.
type Holdings struct {
	holders []ipam.Holder
	config  ipam.Config
}

// Lookup reads what an attachment holds, by its handle and by the one that old versions used, in one parallel round. It
// fails when the datastore is not ready.
func (a Allocations) Lookup(ctx context.Context, network string, id workload.ID) (Holdings, error) {
	ids := []string{id.HandleID(network)}
	if legacy := id.LegacyHandleID(); legacy != "" {
		ids = append(ids, legacy)
	}
	h := Holdings{holders: make([]ipam.Holder, len(ids))}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.Cluster.Ready(ctx) })
	g.Go(func() (err error) { h.config, err = a.Cluster.Config(ctx); return err })
	for i, id := range ids {
		g.Go(func() (err error) { h.holders[i], err = a.allocator().Lookup(ctx, id); return err })
	}
	return h, g.Wait()
}

// Release gives back what was looked up, and returns the addresses. To hold nothing is a success.
func (a Allocations) Release(ctx context.Context, h Holdings) ([]netip.Addr, error) {
	if unlock, err := a.lock(ctx, releasePatience); err == nil {
		defer unlock()
	}
	var addrs []netip.Addr
	var errs []error
	for _, holder := range h.holders {
		released, err := a.allocator().Release(ctx, holder, h.config.Cooldown)
		addrs, errs = append(addrs, released.Addrs...), append(errs, err)
		errs = append(errs, a.allocator().GiveBackUnselected(ctx, a.Cluster, released.Emptied))
	}
	return addrs, errors.Join(errs...)
}

func (a Allocations) lock(ctx context.Context, patience time.Duration) (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return hostlock.Acquire(ctx, a.LockFile)
}
