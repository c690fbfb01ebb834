// Package pool decides which IP pools serve a request, in what order, and which block of a pool a node tries next.
// It is pure: pools, labels and names come in as values.
package pool

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"calico-cni/pkg/selector"
)

// Block sizes of pools that name none, as prefix lengths.
const (
	DefaultBlockSizeV4 = 26
	DefaultBlockSizeV6 = 122
)

// Use is what an address is for (IPPool.spec.allowedUses).
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

// Validate returns an error that wraps ErrInvalid if the pool cannot be divided into blocks.
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
	return nil
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

// Query describes the request that pools are chosen for.
type Query struct {
	// IPv6 selects the IP family.
	IPv6 bool
	Use  Use
	// Requested are names or CIDRs of pools. If there are any, only these serve, and Manual and the selectors are
	// ignored.
	Requested []string
	// NodeLabels and NamespaceLabels are the labels that the selectors of pools apply to.
	NodeLabels, NamespaceLabels map[string]string
}

// Rejection says why a pool does not serve a query.
type Rejection struct{ Pool, Reason string }

// String returns "pool: reason".
func (r Rejection) String() string { return r.Pool + ": " + r.Reason }

// Choose returns the pools that serve a query, in the order in which they are tried: as requested, or else by name.
// It also returns why the other pools of the IP family do not serve it. If a requested pool does not exist or cannot
// be used, Choose returns an error that wraps ErrUnknownPool.
func Choose(pools []Pool, q Query) (chosen []Pool, rejected []Rejection, err error) {
	pools = slices.DeleteFunc(slices.Clone(pools), func(p Pool) bool { return p.CIDR.Addr().Is6() != q.IPv6 })
	slices.SortFunc(pools, func(a, b Pool) int { return cmp.Compare(a.Name, b.Name) })
	if len(q.Requested) > 0 {
		return requested(pools, q)
	}
	for _, p := range pools {
		if reason := p.refuses(q); reason != "" {
			rejected = append(rejected, Rejection{p.Name, reason})
		} else {
			chosen = append(chosen, p)
		}
	}
	return chosen, rejected, nil
}

func requested(pools []Pool, q Query) (chosen []Pool, rejected []Rejection, err error) {
	for _, want := range q.Requested {
		i := slices.IndexFunc(pools, func(p Pool) bool { return p.is(want) })
		if i < 0 {
			return nil, nil, fmt.Errorf("%w: the given pool (%s) does not exist, or is not enabled: "+
				"no %s pool has this name or CIDR; "+
				"correct the annotation or the CNI configuration that asks for it, or create the pool",
				ErrUnknownPool, want, family(q.IPv6))
		}
		p := pools[i]
		if reason := p.unusable(); reason != "" {
			return nil, nil, fmt.Errorf("%w: the given pool (%s) does not exist, or is not enabled: it is %s",
				ErrUnknownPool, want, reason)
		}
		switch {
		case !p.serves(q.Use):
			rejected = append(rejected, Rejection{p.Name, p.wrongUse(q.Use)})
		case !slices.ContainsFunc(chosen, func(c Pool) bool { return c.Name == p.Name }):
			chosen = append(chosen, p)
		}
	}
	return chosen, rejected, nil
}

// is reports whether a name or CIDR denotes the pool.
func (p Pool) is(want string) bool {
	if p.Name == want {
		return true
	}
	cidr, err := netip.ParsePrefix(want)
	return err == nil && cidr.Masked() == p.CIDR
}

func (p Pool) refuses(q Query) string {
	switch {
	case p.unusable() != "":
		return p.unusable()
	case p.Manual:
		return "serves only requests that name it (name it, or set its assignmentMode to Automatic)"
	case !p.serves(q.Use):
		return p.wrongUse(q.Use)
	case !matches(p.Node, q.NodeLabels):
		return fmt.Sprintf("nodeSelector %s does not match the node's labels %s (change the nodeSelector or the labels)",
			p.Node, printLabels(q.NodeLabels))
	case !matches(p.Namespace, q.NamespaceLabels):
		return fmt.Sprintf("namespaceSelector %s does not match the namespace's labels %s "+
			"(change the namespaceSelector or the labels)", p.Namespace, printLabels(q.NamespaceLabels))
	}
	return ""
}

func (p Pool) wrongUse(u Use) string {
	names := make([]string, len(p.Uses))
	for i, use := range p.Uses {
		names[i] = string(use)
	}
	return fmt.Sprintf("is for %s, not for %s (add %s to its allowedUses)", strings.Join(names, " and "), u, u)
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

func matches(s *selector.Selector, labels map[string]string) bool {
	return s == nil || s.Matches(labels)
}

func family(ipv6 bool) string {
	if ipv6 {
		return "IPv6"
	}
	return "IPv4"
}

func printLabels(labels map[string]string) string {
	keys := make([]string, 0, len(labels))
	for k := range labels {
		keys = append(keys, k+"="+labels[k])
	}
	slices.Sort(keys)
	return "{" + strings.Join(keys, ",") + "}"
}
