// SPDX-License-Identifier: Apache-2.0

// Package pool decides which IP pools serve a request, in what order, and which block of a pool a node tries next.
// It is pure: pools, labels and names come in as values.
package pool

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"calico-cni/pkg/selector"
)

// Block sizes of pools that specify none, as prefix lengths.
const (
	DefaultBlockSizeV4 = 26
	DefaultBlockSizeV6 = 122
)

// Use is the purpose of an address (IPPool.spec.allowedUses).
type Use string

// The uses of an address.
const (
	Workload     Use = "Workload"
	Tunnel       Use = "Tunnel"
	LoadBalancer Use = "LoadBalancer"
)

// Errors of this package; match them with errors.Is.
var (
	// ErrUnknownPool: a requested pool does not exist or cannot be used.
	ErrUnknownPool = errors.New("unknown pool")
	// ErrInvalid: a pool violates the data model.
	ErrInvalid = errors.New("invalid pool")
)

// Pool is the part of an IPPool that concerns allocation.
type Pool struct {
	Name string
	// CIDR is masked. BlockSize is the prefix length of the pool's blocks, 20 to 32 or 116 to 128.
	CIDR      netip.Prefix
	BlockSize int
	// No address is allocated from a pool that is Disabled, Deleting (it has a deletion timestamp) or Refused (its
	// condition Allocatable is False).
	Disabled, Deleting, Refused bool
	// Broken is the error of a pool that violates the data model, or nil.
	Broken error
	// Manual pools serve only requests that name them.
	Manual bool
	// Node and Namespace select the nodes and namespaces that an automatic pool serves.
	Node, Namespace *selector.Selector
	// Uses are the uses that the pool allows. Empty means Workload and Tunnel.
	Uses []Use
}

// Validate returns an error that wraps ErrInvalid if the pool cannot be divided into blocks, or overlaps a range whose
// addresses do not work for pods.
func (p Pool) Validate() error {
	if !p.CIDR.IsValid() || p.CIDR != p.CIDR.Masked() {
		return fmt.Errorf("%w %s: its cidr is not a network address with a prefix length", ErrInvalid, p.Name)
	}
	low, high := 20, 32
	if p.CIDR.Addr().Is6() {
		low, high = 116, 128
	}
	if p.BlockSize < low || p.BlockSize > high || p.BlockSize < p.CIDR.Bits() {
		return fmt.Errorf("%w %s: blockSize %d, want %d to %d and no shorter than the pool's own /%d",
			ErrInvalid, p.Name, p.BlockSize, low, high, p.CIDR.Bits())
	}
	if r := specialRange(p.CIDR); r != "" {
		return fmt.Errorf("%w %s: its cidr %s overlaps the range %s, whose addresses do not work for pods",
			ErrInvalid, p.Name, p.CIDR, r)
	}
	return nil
}

// specialRange names the first range with a special meaning that a CIDR overlaps, or is empty.
func specialRange(cidr netip.Prefix) string {
	for _, r := range []struct{ cidr, name string }{
		{"0.0.0.0/8", "unspecified"},
		{"127.0.0.0/8", "loopback"},
		{"169.254.0.0/16", "link-local"},
		{"224.0.0.0/4", "multicast"},
		{"::/128", "unspecified"},
		{"::1/128", "loopback"},
		{"fe80::/10", "link-local"},
		{"ff00::/8", "multicast"},
	} {
		if netip.MustParsePrefix(r.cidr).Overlaps(cidr) {
			return r.cidr + " (" + r.name + ")"
		}
	}
	return ""
}

// unusable says why the pool serves no request, or is empty.
func (p Pool) unusable() string {
	switch {
	case p.Broken != nil:
		return fmt.Sprintf("invalid: %v (correct the IPPool)", p.Broken)
	case p.Disabled:
		return "disabled (set disabled to false in the IPPool)"
	case p.Deleting:
		return "being deleted (use another pool)"
	case p.Refused:
		return "not allocatable (see its status condition Allocatable)"
	}
	return ""
}

func (p Pool) serves(u Use) bool {
	if len(p.Uses) == 0 {
		return u == Workload || u == Tunnel
	}
	return slices.Contains(p.Uses, u)
}

// Containing returns the pool that an address belongs to: the most specific usable pool that contains it, or, if none
// is usable, the most specific pool.
func Containing(pools []Pool, addr netip.Addr) (found Pool, ok bool) {
	for _, p := range pools {
		if p.CIDR.Contains(addr) && (!ok || p.precedes(found)) {
			found, ok = p, true
		}
	}
	return found, ok
}

// precedes reports whether an address that both pools contain belongs to p.
func (p Pool) precedes(other Pool) bool {
	if usable := p.unusable() == ""; usable != (other.unusable() == "") {
		return usable
	}
	if p.CIDR.Bits() != other.CIDR.Bits() {
		return p.CIDR.Bits() > other.CIDR.Bits()
	}
	return p.Name < other.Name
}

// Usable returns nil if specific addresses of the pool may be allocated for a use, or else an error that says why not.
func (p Pool) Usable(u Use) error {
	if reason := p.unusable(); reason != "" {
		return fmt.Errorf("%w: pool %s is %s", ErrUnknownPool, p.Name, reason)
	}
	if !p.serves(u) {
		return fmt.Errorf("%w: pool %s %s", ErrUnknownPool, p.Name, p.wrongUse(u))
	}
	return nil
}

// Selects reports whether the pool's node selector matches the labels of a node.
func (p Pool) Selects(nodeLabels map[string]string) bool { return matches(p.Node, nodeLabels) }

// NeedsNodeLabels reports whether a pool has a node selector, so that Choose needs the labels of the node.
func NeedsNodeLabels(pools []Pool) bool {
	return slices.ContainsFunc(pools, func(p Pool) bool { return p.Node != nil && !p.Node.IsAll() })
}
