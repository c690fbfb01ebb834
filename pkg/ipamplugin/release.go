package ipamplugin

import (
	"context"
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

// Holdings is the handle of an attachment as it was looked up.
type Holdings struct {
	holder ipam.Holder
	id     workload.ID
	// legacy says that the handle is of the form that old versions used.
	legacy bool
	// until leaves out what was given after it, to an attachment that came later; zero leaves out nothing.
	until  time.Time
	config ipam.Config
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
	g.Go(func() (err error) {
		h.holder, h.legacy, err = a.holder(ctx, id.HandleID(network), id.LegacyHandleID())
		return err
	})
	err := g.Wait()
	return h, err
}

// holder looks up a handle, and where there is none, the one of old versions, if there may be one.
func (a Allocations) holder(ctx context.Context, own, legacy string) (h ipam.Holder, isLegacy bool, err error) {
	allocator := a.allocator(a.remembered)
	h, err = allocator.Lookup(ctx, own)
	if err != nil || h.Found() || legacy == "" || legacy == own {
		return h, false, err
	}
	h, err = allocator.Lookup(ctx, legacy)
	return h, true, err
}

// meant returns which owners of the handle are the attachment. alone says that the container is known to have no other
// interface in the network: what does not say for which interface it is, is this one's then.
func (h Holdings) meant(alone bool) func(owner map[string]string) bool {
	mine := heldFor(h.id.IfName, alone)
	if h.legacy {
		// It may be the handle of another container too, in a network of the namespace's name.
		mine = func(owner map[string]string) bool {
			nameless := owner["pod"] == "" && owner["node"] == "" && owner["timestamp"] == ""
			return nameless || owner["pod"] == h.id.Pod && owner["namespace"] == h.id.Namespace
		}
	}
	return func(owner map[string]string) bool {
		given, err := time.Parse(timestampFormat, owner["timestamp"])
		return mine(owner) && (h.until.IsZero() || err != nil || !given.After(h.until))
	}
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

// Release gives back what was looked up, and returns the addresses. To hold nothing is a success. alone says that the
// container is known to have no other interface in the network.
func (a Allocations) Release(ctx context.Context, h Holdings, alone bool) ([]netip.Addr, error) {
	if h.None() {
		return nil, nil
	}
	unlock, _ := a.lock(ctx, a.LockFile+ReleaseSuffix, releasePatience)
	defer unlock()
	allocator := a.allocator(a.remembered)
	released, err := allocator.Release(ctx, h.holder, h.meant(alone), h.config.Cooldown)
	// Housekeeping: nobody's DEL waits for it.
	if err := allocator.GiveBackUnselected(ctx, a.Cluster, released.Emptied); err != nil {
		a.Log.Warn("leaving empty blocks for later", "error", err)
	}
	return released.Addrs, err
}
