// SPDX-License-Identifier: Apache-2.0

package nodeipam

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"calico-cni/internal/nodestate"
	"calico-cni/pkg/ipam"
)

// Spared are the attachments of a network that GC keeps: those that the runtime lists as valid, and those with an
// in-flight mark of an ADD that was running when GC began or later.
type Spared struct {
	network string
	valid   map[string]map[string]bool
	marks   nodestate.Marks
	// started is the time since boot at which GC began.
	started time.Duration
	// named has the interfaces that the addresses of each handle name.
	named map[string]map[string]bool
}

// NewSpared returns the attachments that a GC of a network keeps. valid has the interfaces of the valid attachments by
// container. started is the time since boot at which GC began.
func NewSpared(network string, valid map[string]map[string]bool, marks nodestate.Marks, started time.Duration) Spared {
	return Spared{network: network, valid: valid, marks: marks, started: started}
}

// Keeps reports whether an attachment is kept. An empty interface name means any interface of the container.
func (s Spared) Keeps(containerID, ifName string) bool {
	if ifName == "" {
		return len(s.valid[containerID]) > 0 || s.beingAdded(containerID, usualIfName)
	}
	return s.valid[containerID][ifName] || s.beingAdded(containerID, ifName)
}

func (s Spared) beingAdded(containerID, ifName string) bool {
	return s.marks.Since(nodestate.Key{Network: s.network, ContainerID: containerID, IfName: ifName}, s.started)
}

// SweepMarks removes the old marks of attachments that are not kept. A killed ADD leaves a mark if no DEL follows.
func (s Spared) SweepMarks() {
	s.marks.Sweep(s.network, func(k nodestate.Key) bool { return s.Keeps(k.ContainerID, k.IfName) })
}

// Container returns the container of a handle of the network. It returns false for handles of other networks, tunnels,
// load balancers and virtual machines, and for handles in which the end of the network name is ambiguous.
func (s Spared) Container(handle string) (containerID string, ok bool) {
	containerID, ok = strings.CutPrefix(handle, s.network+".")
	return containerID, ok && containerID != "" && !strings.Contains(containerID, ".")
}

// Collect releases the leaked addresses of the node in the network. It continues after an error, and returns all
// errors.
func (a Allocations) Collect(ctx context.Context, node string, spared Spared) (freed Freed, err error) {
	if err := a.Cluster.Ready(ctx); err != nil {
		return freed, err
	}
	config, err := a.Cluster.Config(ctx)
	if err != nil {
		return freed, err
	}
	freed.Cooling = config.Cooldown > 0
	borrowed, err := a.borrowed.List()
	errs := []error{err}
	var cidrs []netip.Prefix
	for _, b := range borrowed {
		cidrs = append(cidrs, b.CIDR)
	}
	held, err := a.allocator(a.cache).HeldByNode(ctx, node, cidrs)
	errs = append(errs, err)
	spared = spared.withNamed(held)
	for handle, leaked := range leakedIn(held, node, spared) {
		addrs, err := a.allocator(a.cache).ReleaseHeld(ctx, handle, leaked, func(owner map[string]string) bool {
			return spared.isLeaked(handle, owner, node)
		}, config.Cooldown)
		freed.Addrs, errs = append(freed.Addrs, addrs...), append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return freed, err
	}
	removeUnused(a.borrowed, borrowed, held, freed.Addrs, node)
	slices.SortFunc(freed.Addrs, netip.Addr.Compare)
	return freed, nil
}

// leakedIn returns the leaked addresses by handle.
func leakedIn(held []ipam.Held, node string, spared Spared) map[string][]ipam.Held {
	out := map[string][]ipam.Held{}
	for _, h := range held {
		if spared.isLeaked(h.Handle, h.Owner, node) {
			out[h.Handle] = append(out[h.Handle], h)
		}
	}
	return out
}

// isLeaked reports whether an address with that handle and owner is leaked. An owner with a type is a tunnel.
func (s Spared) isLeaked(handle string, owner map[string]string, node string) bool {
	containerID, ok := s.Container(handle)
	own := ok && owner["type"] == "" && owner["node"] == node
	return own && !s.Keeps(containerID, s.interfaceOf(handle, containerID, owner))
}

// withNamed returns s with the interfaces that the addresses name.
func (s Spared) withNamed(held []ipam.Held) Spared {
	s.named = map[string]map[string]bool{}
	for _, h := range held {
		if s.named[h.Handle] == nil {
			s.named[h.Handle] = map[string]bool{}
		}
		s.named[h.Handle][h.Owner[ownerInterface]] = true
	}
	return s
}

// interfaceOf returns the interface of an address. If it names none, because Calico allocated it, it returns an empty
// string for any interface, unless each valid interface of the container is named by another address. Then it returns
// the usual interface.
func (s Spared) interfaceOf(handle, containerID string, owner map[string]string) string {
	if named := owner[ownerInterface]; named != "" {
		return named
	}
	for ifName := range s.valid[containerID] {
		if !s.named[handle][ifName] {
			return ""
		}
	}
	return usualIfName
}

// removeUnused removes the records of borrowed blocks in which the node no longer holds addresses.
func removeUnused(
	records nodestate.Borrowed, blocks []nodestate.BorrowedBlock, held []ipam.Held, freed []netip.Addr, node string,
) {
	for _, b := range blocks {
		inUse := slices.ContainsFunc(held, func(h ipam.Held) bool {
			return h.Block == b.CIDR && h.Owner["node"] == node && !slices.Contains(freed, h.Addr)
		})
		if !inUse {
			records.Remove(b)
		}
	}
}
