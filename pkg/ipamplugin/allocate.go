package ipamplugin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"calico-cni/internal/hostlock"
	"calico-cni/pkg/ipam"
	"calico-cni/pkg/workload"
)

// releaseSuffix makes the name of the releases' lock file from that of the assignments'.
const releaseSuffix = ".release"

// How long a command waits for the lock of the node.
const (
	assignPatience  = 30 * time.Second
	releasePatience = 5 * time.Second
)

// Allocations are the addresses of one node, in a cluster's store.
type Allocations struct {
	Store   ipam.Store
	Cluster ipam.Cluster
	// LockFile serialises the assignments of the node, and a file beside it the releases: a DEL need not wait for ADDs.
	LockFile string
	Now      func() time.Time
	Log      *slog.Logger
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
	if err := checkHandle(r.ID.HandleID(r.Network)); err != nil {
		return Grant{}, err
	}
	defer a.lock(ctx, a.LockFile, assignPatience)()
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	g := Grant{request: ipam.Request{
		Node: r.Node, Handle: r.ID.HandleID(r.Network), Owner: a.owner(r), NamespaceLabels: r.NamespaceLabels, Wants: wants,
	}}
	for _, w := range wants {
		if w.Addr.IsValid() {
			g.Requested = append(g.Requested, w.Addr)
		}
	}
	var err error
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
	// owners says of each which owners are meant; nil is all.
	owners []func(map[string]string) bool
	config ipam.Config
}

// Lookup reads what an attachment holds, by its handle and by the one that old versions used, in one parallel round. It
// fails when the datastore is not ready.
func (a Allocations) Lookup(ctx context.Context, network string, id workload.ID) (Holdings, error) {
	ids, owners := []string{id.HandleID(network)}, []func(map[string]string) bool{nil}
	if legacy := id.LegacyHandleID(); legacy != "" && legacy != ids[0] {
		// It may be the handle of another container too, in a network of the namespace's name.
		ids, owners = append(ids, legacy), append(owners, func(owner map[string]string) bool {
			nameless := owner["pod"] == "" && owner["node"] == "" && owner["timestamp"] == ""
			return nameless || owner["pod"] == id.Pod && owner["namespace"] == id.Namespace
		})
	}
	h := Holdings{holders: make([]ipam.Holder, len(ids)), owners: owners}
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
	defer a.lock(ctx, a.LockFile+releaseSuffix, releasePatience)()
	var addrs []netip.Addr
	var errs []error
	for i, holder := range h.holders {
		released, err := a.allocator().Release(ctx, holder, h.owners[i], h.config.Cooldown)
		addrs, errs = append(addrs, released.Addrs...), append(errs, err)
		// Housekeeping: nobody's DEL waits for it.
		if err := a.allocator().GiveBackUnselected(ctx, a.Cluster, released.Emptied); err != nil {
			a.Log.Warn("leaving empty blocks for later", "error", err)
		}
	}
	return addrs, errors.Join(errs...)
}

// lock waits for a lock of the node and returns what gives it back. A lock that cannot be had, or not in time, is done
// without: it only keeps the commands of a node from getting in each other's way, and the store keeps them apart.
func (a Allocations) lock(ctx context.Context, file string, patience time.Duration) (unlock func()) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	unlock, err := hostlock.Acquire(ctx, file)
	if err != nil {
		a.Log.Warn("going on without the lock of the node", "error", err)
		return func() {}
	}
	return unlock
}

// checkHandle refuses a handle that cannot be the name of an object: a network or a container ID that CNI allows and
// Kubernetes does not.
func checkHandle(id string) error {
	if !workload.ValidSubdomain(strings.ToLower(id)) {
		return fmt.Errorf("%w: network name and container ID make the handle %q, which cannot be the name of a Kubernetes object: "+
			"want letters, digits, - and ., 253 at most", workload.ErrInvalidArgs, id)
	}
	return nil
}
