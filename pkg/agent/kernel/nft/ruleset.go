// SPDX-License-Identifier: Apache-2.0

// Package nft reads and writes parts of an nftables table through netlink. It knows only the expressions that the node
// agent uses.
package nft

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"slices"
)

// Table is the name of the agent's table, in the family inet.
const Table = "calico-cni"

// Hook says where a base chain sees packets.
type Hook struct {
	// Type is "filter" or "nat".
	Type string
	// Number is NF_INET_... of netfilter.
	Number   uint32
	Priority int32
}

// Chain is a chain with its rules. A base chain has a hook and accepts packets at its end.
type Chain struct {
	Name  string
	Base  bool
	Hook  Hook
	Rules []Rule
}

// Rule is a rule. Its tag identifies what it does: the kernel does not return expressions in the form in which it
// receives them.
type Rule struct {
	Tag   string
	Exprs []Expr
}

// NewRule returns a rule. The text says in a few words what it does; it becomes the comment of the rule, with a hash of
// the expressions.
func NewRule(text string, parts ...[]Expr) Rule {
	r := Rule{Exprs: slices.Concat(parts...)}
	hash := sha256.New()
	for _, e := range r.Exprs {
		hash.Write([]byte(e))
		hash.Write([]byte{0})
	}
	const length = 8
	r.Tag = text + " " + hex.EncodeToString(hash.Sum(nil)[:length])
	return r
}

// Range is a range of addresses, with both ends.
type Range struct{ From, To netip.Addr }

// Set is a set of addresses. Its ranges neither overlap nor touch. Without Intervals, each range is one address.
type Set struct {
	Name      string
	V6        bool
	Intervals bool
	Ranges    []Range
}

// Ruleset is a part of the table. Chains and sets are sorted by name, and ranges by address.
type Ruleset struct {
	Chains []Chain
	Sets   []Set
}

// Transaction is a change of the table. The kernel makes all of it or nothing.
type Transaction struct {
	// Chains and sets to delete. A chain loses its rules first.
	DeleteChains, DeleteSets []string
	// Chains and sets to create. Chains may refer to each other and to the sets.
	Chains []Chain
	Sets   []Set
	// Ranges to delete from and to add to existing sets.
	DeleteRanges, AddRanges []Set
	// DeleteTable deletes the whole table. Nothing else is set then.
	DeleteTable bool
}

// Merge returns prefixes as sorted ranges that neither overlap nor touch.
func Merge(prefixes []netip.Prefix) (merged []Range) {
	var all []Range
	for _, p := range prefixes {
		all = append(all, Range{p.Masked().Addr(), last(p)})
	}
	slices.SortFunc(all, func(a, b Range) int { return a.From.Compare(b.From) })
	for _, r := range all {
		if n := len(merged); n > 0 {
			before := &merged[n-1]
			if next := before.To.Next(); !next.IsValid() || r.From.Compare(next) <= 0 {
				if before.To.Less(r.To) {
					before.To = r.To
				}
				continue
			}
		}
		merged = append(merged, r)
	}
	return merged
}

// Singles returns addresses as sorted ranges of one address each.
func Singles(addrs []netip.Addr) (ranges []Range) {
	sorted := slices.Clone(addrs)
	slices.SortFunc(sorted, netip.Addr.Compare)
	for _, a := range slices.Compact(sorted) {
		ranges = append(ranges, Range{a, a})
	}
	return ranges
}

// last returns the last address of a prefix.
func last(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < p.Addr().BitLen(); i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
