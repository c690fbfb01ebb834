// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"maps"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"calico-cni/pkg/agent/kernel/nft"
)

// Ruleset is nftables in memory: the generation, and the agent's table.
type Ruleset struct {
	generation uint32
	chains     map[string]nft.Chain
	sets       map[string]nft.Set
}

// NewRuleset returns a ruleset without tables.
func NewRuleset() *Ruleset {
	r := &Ruleset{generation: 1}
	r.Flush()
	return r
}

// Flush deletes everything, as `nft flush ruleset` by another program does.
func (r *Ruleset) Flush() {
	r.generation++
	r.chains, r.sets = map[string]nft.Chain{}, map[string]nft.Set{}
}

// Generation returns the number of the ruleset.
func (r *Ruleset) Generation() (uint32, error) { return r.generation, nil }

// Read returns the chains and sets whose names start with one of the prefixes. The rules have tags only.
func (r *Ruleset) Read(prefixes []string) (all nft.Ruleset, err error) {
	ours := func(name string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
	}
	for _, name := range slices.Sorted(maps.Keys(r.chains)) {
		if c := r.chains[name]; ours(name) {
			var tags []nft.Rule
			for _, rule := range c.Rules {
				tags = append(tags, nft.Rule{Tag: rule.Tag})
			}
			c.Rules = tags
			all.Chains = append(all.Chains, c)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.sets)) {
		if s := r.sets[name]; ours(name) {
			s.Ranges = slices.Clone(s.Ranges)
			all.Sets = append(all.Sets, s)
		}
	}
	return all, nil
}

// Commit makes a transaction, or returns an error and changes nothing.
func (r *Ruleset) Commit(tx nft.Transaction) error {
	next := &Ruleset{chains: maps.Clone(r.chains), sets: maps.Clone(r.sets)}
	if tx.DeleteTable {
		next.Flush()
	}
	if err := next.change(tx); err != nil {
		return err
	}
	if err := next.check(); err != nil {
		return err
	}
	r.generation++
	r.chains, r.sets = next.chains, next.sets
	return nil
}

func (r *Ruleset) change(tx nft.Transaction) error {
	for _, name := range tx.DeleteChains {
		if _, exists := r.chains[name]; !exists {
			return unix.ENOENT
		}
		delete(r.chains, name)
	}
	for _, name := range tx.DeleteSets {
		if _, exists := r.sets[name]; !exists {
			return unix.ENOENT
		}
		delete(r.sets, name)
	}
	for _, s := range tx.Sets {
		if _, exists := r.sets[s.Name]; exists {
			return unix.EEXIST
		}
		s.Ranges = slices.Clone(s.Ranges)
		r.sets[s.Name] = s
	}
	for _, c := range tx.Chains {
		if _, exists := r.chains[c.Name]; exists {
			return unix.EEXIST
		}
		r.chains[c.Name] = c
	}
	for _, s := range tx.DeleteRanges {
		if err := r.deleteRanges(s); err != nil {
			return err
		}
	}
	for _, s := range tx.AddRanges {
		there := r.sets[s.Name]
		there.Ranges = slices.Concat(there.Ranges, s.Ranges)
		slices.SortFunc(there.Ranges, func(a, b nft.Range) int { return a.From.Compare(b.From) })
		r.sets[s.Name] = there
	}
	return nil
}

func (r *Ruleset) deleteRanges(s nft.Set) error {
	there := r.sets[s.Name]
	for _, gone := range s.Ranges {
		i := slices.Index(there.Ranges, gone)
		if i < 0 {
			return unix.ENOENT
		}
		there.Ranges = slices.Delete(slices.Clone(there.Ranges), i, i+1)
	}
	r.sets[s.Name] = there
	return nil
}

// check returns the error of a table that the kernel refuses.
func (r *Ruleset) check() error {
	for _, c := range r.chains {
		for _, rule := range c.Rules {
			for _, e := range rule.Exprs {
				set, chain := e.Refers()
				_, setExists := r.sets[set]
				_, chainExists := r.chains[chain]
				if set != "" && !setExists || chain != "" && !chainExists {
					return unix.ENOENT
				}
			}
		}
	}
	for _, s := range r.sets {
		for i, x := range s.Ranges {
			if x.To.Less(x.From) || i > 0 && !s.Ranges[i-1].To.Less(x.From) || !s.Intervals && x.From != x.To {
				return unix.EEXIST
			}
		}
	}
	return nil
}
