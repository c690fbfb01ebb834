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

// Spared are the attachments of a network that a collection keeps: those that the runtime calls valid, and those that
// were being added when it began, or since.
type Spared struct {
	network string
	valid   map[string]map[string]bool
	marks   nodestate.Marks
	// started is when the collection began, since boot.
	started time.Duration
	// named are the interfaces that a handle's holdings name, by handle.
	named map[string]map[string]bool
}

// NewSpared returns what a collection that began at started, since boot, spares in a network. valid are the interfaces
// of the attachments to keep, by container.
func NewSpared(network string, valid map[string]map[string]bool, marks nodestate.Marks, started time.Duration) Spared {
	return Spared{network: network, valid: valid, marks: marks, started: started}
}

// Is reports whether an attachment is spared. An empty interface name stands for any of the container's.
func (s Spared) Is(containerID, ifName string) bool {
	if ifName == "" {
		return len(s.valid[containerID]) > 0 || s.beingAdded(containerID, usualIfName)
	}
	return s.valid[containerID][ifName] || s.beingAdded(containerID, ifName)
}

func (s Spared) beingAdded(containerID, ifName string) bool {
	return s.marks.Since(nodestate.Key{Network: s.network, ContainerID: containerID, IfName: ifName}, s.started)
}

// SweepMarks removes the marks of attachments of the network that are not spared. An ADD that was killed leaves a mark
// if no DEL follows.
func (s Spared) SweepMarks() {
	s.marks.Sweep(s.network, func(k nodestate.Key) bool { return s.Is(k.ContainerID, k.IfName) })
}

// Container returns the container of a handle of the network. It returns false for handles of other networks, tunnels,
// load balancers and virtual machines, and for handles in which the end of the network's name is ambiguous.
func (s Spared) Container(handle string) (containerID string, ok bool) {
	containerID, ok = strings.CutPrefix(handle, s.network+".")
	return containerID, ok && containerID != "" && !strings.Contains(containerID, ".")
}

// Collect gives back what attachments of the network that are not spared hold on the node, and returns the addresses.
// It goes on after an error, and returns all that there were.
func (a Allocations) Collect(ctx context.Context, node string, spared Spared) ([]netip.Addr, error) {
	if err := a.Cluster.Ready(ctx); err != nil {
		return nil, err
	}
	config, err := a.Cluster.Config(ctx)
	if err != nil {
		return nil, err
	}
	borrowed, err := a.borrowed.List()
	errs := []error{err}
	var cidrs []netip.Prefix
	for _, b := range borrowed {
		cidrs = append(cidrs, b.CIDR)
	}
	held, err := a.allocator(a.cache).HeldByNode(ctx, node, cidrs)
	errs = append(errs, err)
	spared = spared.knowing(held)
	var freed []netip.Addr
	for handle, leftovers := range leftoversIn(held, node, spared) {
		addrs, err := a.allocator(a.cache).ReleaseHeld(ctx, handle, leftovers, func(owner map[string]string) bool {
			return spared.leftover(handle, owner, node)
		}, config.Cooldown)
		freed, errs = append(freed, addrs...), append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return freed, err
	}
	a.removeUnused(borrowed, held, freed, node)
	slices.SortFunc(freed, netip.Addr.Compare)
	return freed, nil
}

// leftoversIn returns the holdings to be released, by handle.
func leftoversIn(held []ipam.Held, node string, spared Spared) map[string][]ipam.Held {
	out := map[string][]ipam.Held{}
	for _, h := range held {
		if spared.leftover(h.Handle, h.Owner, node) {
			out[h.Handle] = append(out[h.Handle], h)
		}
	}
	return out
}

// leftover reports whether what a handle holds for an owner is to be given back. A holding with a type is a tunnel's.
func (s Spared) leftover(handle string, owner map[string]string, node string) bool {
	containerID, ok := s.Container(handle)
	ours := ok && owner["type"] == "" && owner["node"] == node
	return ours && !s.Is(containerID, s.interfaceOf(handle, containerID, owner))
}

// knowing returns the same, with which interfaces holdings name.
func (s Spared) knowing(held []ipam.Held) Spared {
	s.named = map[string]map[string]bool{}
	for _, h := range held {
		if s.named[h.Handle] == nil {
			s.named[h.Handle] = map[string]bool{}
		}
		s.named[h.Handle][h.Owner[ownerInterface]] = true
	}
	return s
}

// interfaceOf returns the interface that a holding is for. One that names none is the usual one's, if each valid
// interface of the container has holdings of its own; else it may be any's, which is the empty string: Calico's name
// none at all.
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
func (a Allocations) removeUnused(borrowed []nodestate.BorrowedBlock, held []ipam.Held, freed []netip.Addr, node string) {
	for _, b := range borrowed {
		inUse := slices.ContainsFunc(held, func(h ipam.Held) bool {
			return h.Block == b.CIDR && h.Owner["node"] == node && !slices.Contains(freed, h.Addr)
		})
		if !inUse {
			a.borrowed.Remove(b)
		}
	}
}
