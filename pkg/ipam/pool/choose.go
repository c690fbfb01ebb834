// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"calico-cni/pkg/selector"
)

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

// requested returns the pools that a query requests.
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

// refuses says why the pool does not serve a query that requests no pools, or is empty.
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

// wrongUse says that the pool does not allow a use.
func (p Pool) wrongUse(u Use) string {
	names := make([]string, len(p.Uses))
	for i, use := range p.Uses {
		names[i] = string(use)
	}
	return fmt.Sprintf("is for %s, not for %s (add %s to its allowedUses)", strings.Join(names, " and "), u, u)
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
