// SPDX-License-Identifier: Apache-2.0

package nodeipam

import (
	"context"

	"golang.org/x/sync/errgroup"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/workload"
)

// usualIfName is the name that every runtime gives the first interface of a container. Like Calico's, our allocations
// for it do not name it. Our allocations for other interfaces do, in ownerInterface.
const (
	usualIfName    = "eth0"
	ownerInterface = "interface"
)

// Holdings is the handle of an attachment, as Lookup found it.
type Holdings struct {
	holder ipam.Holder
	id     workload.ID
	// handle is the ID of the handle that was found. legacy says that it has the form of old versions of Calico.
	handle string
	legacy bool
	config ipam.Config
}

// None reports whether the attachment had no handle.
func (h Holdings) None() bool { return !h.holder.Found() }

// Lookup reads the handle of an attachment or, if it does not exist, the legacy handle. It fails if the datastore is
// not ready.
func (a Allocations) Lookup(ctx context.Context, network string, id workload.ID) (Holdings, error) {
	h := Holdings{id: id}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.Cluster.Ready(ctx) })
	g.Go(func() (err error) { h.config, err = a.Cluster.Config(ctx); return err })
	g.Go(func() error { return a.holder(ctx, &h, id.HandleID(network), id.LegacyHandleID()) })
	err := g.Wait()
	return h, err
}

// holder looks up a handle and, if it does not exist, the legacy handle.
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

// matcher returns a function that reports whether an owner under the handle is the attachment.
func (h Holdings) matcher(e Evidence) func(owner map[string]string) bool {
	mine := heldFor(h.id.IfName, e.Others == NoOthers)
	if h.legacy {
		// A container in a network with the name of the namespace may have the same handle.
		mine = func(owner map[string]string) bool {
			unattributed := owner["pod"] == "" && owner["node"] == "" && owner["timestamp"] == ""
			return unattributed || owner["pod"] == h.id.Pod && owner["namespace"] == h.id.Namespace
		}
	}
	return func(owner map[string]string) bool { return mine(owner) && e.ofNode(owner) && samePod(h.id, owner) }
}

// samePod reports whether an owner can be the pod of an attachment. Two attachments can have the same handle, because
// the names of networks and the IDs of containers may contain dots: network "a" with container "b.c", and network "a.b"
// with container "c".
func samePod(id workload.ID, owner map[string]string) bool {
	return id.Pod == "" || owner["pod"] == "" || owner["pod"] == id.Pod && owner["namespace"] == id.Namespace
}

// heldFor returns a function that reports whether an owner is one interface. alone says that the container has no other
// interface in the network: an owner that names no interface is then this one.
func heldFor(ifName string, alone bool) func(owner map[string]string) bool {
	return func(owner map[string]string) bool {
		named := owner[ownerInterface]
		return named == ifName || named == "" && (ifName == usualIfName || alone)
	}
}
