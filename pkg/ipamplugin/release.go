package ipamplugin

import (
	"context"
	"errors"
	"net/netip"
	"time"

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

// Holdings are the handles of an attachment as they were looked up.
type Holdings struct {
	holders []ipam.Holder
	// owners says of each which owners are meant.
	owners []func(map[string]string) bool
	config ipam.Config
}

// Lookup reads what an attachment holds, by its handle and by the one that old versions used, in one parallel round. It
// fails when the datastore is not ready. alone says that the container is known to have no other interface in the
// network: what does not say for which interface it is, is this one's then.
func (a Allocations) Lookup(ctx context.Context, network string, id workload.ID, alone bool) (Holdings, error) {
	ids, owners := []string{id.HandleID(network)}, []func(map[string]string) bool{heldFor(id.IfName, alone)}
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

// until leaves out what was given after a moment, to an attachment that came later.
func (h Holdings) until(moment time.Time) Holdings {
	all := h.owners
	h.owners = make([]func(map[string]string) bool, len(all))
	for i, meant := range all {
		h.owners[i] = func(owner map[string]string) bool {
			given, err := time.Parse(timestampFormat, owner["timestamp"])
			return meant(owner) && (err != nil || !given.After(moment))
		}
	}
	return h
}

// timestampFormat is that of an owner's timestamp, which is what time.Time.String returns.
const timestampFormat = "2006-01-02 15:04:05.999999999 -0700 MST"

// heldFor says of a handle's owners which are those of one interface.
func heldFor(ifName string, alone bool) func(owner map[string]string) bool {
	return func(owner map[string]string) bool {
		named := owner[ownerInterface]
		return named == ifName || named == "" && (ifName == usualIfName || alone)
	}
}

// Release gives back what was looked up, and returns the addresses. To hold nothing is a success.
func (a Allocations) Release(ctx context.Context, h Holdings) ([]netip.Addr, error) {
	unlock, _ := a.lock(ctx, a.LockFile+ReleaseSuffix, releasePatience)
	defer unlock()
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
