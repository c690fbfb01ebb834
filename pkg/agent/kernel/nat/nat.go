// SPDX-License-Identifier: Apache-2.0

// Package nat keeps the address translation of a node, and the filter of its tunnels, in the desired state.
//
// Its chains and sets are in the table "inet calico-cni". Each change is one transaction, so packets never see half of
// it. Other programs may flush the ruleset at any time: the driver then writes its part again.
package nat

import (
	"context"
	"fmt"
	"slices"

	"calico-cni/pkg/agent/kernel"
	"calico-cni/pkg/agent/kernel/nft"
)

// Kernel reads and writes the agent's table.
type Kernel interface {
	// Generation returns the number of the ruleset of the network namespace. Each transaction of any program changes it.
	Generation() (uint32, error)
	// Read returns the chains and sets whose names start with one of the prefixes. The rules have tags only.
	Read(prefixes []string) (nft.Ruleset, error)
	Commit(tx nft.Transaction) error
}

// Driver keeps the driver's part of the table in the desired state. It has one user at a time.
type Driver struct {
	Kernel Kernel

	// checked is the generation at which the kernel had the chains and sets of last. It is 0 before the first time.
	checked uint32
	last    nft.Ruleset
}

// Apply brings the table to the desired state. It reads the table only if the ruleset has changed since the last run.
func (d *Driver) Apply(_ context.Context, desired Config) kernel.Report {
	want := Render(desired)
	generation, err := d.Kernel.Generation()
	if err != nil {
		return kernel.Failed("read nftables", err)
	}
	if generation != 0 && generation == d.checked && equal(want, d.last) {
		return kernel.Report{}
	}
	actual, err := d.Kernel.Read(prefixes)
	if err != nil {
		return kernel.Failed("read nftables", err)
	}
	tx, differs := Diff(actual, want)
	if !differs {
		// Another transaction may have come between: then the next run reads again.
		d.checked, d.last = generation, want
		return kernel.Report{}
	}
	if err := d.Kernel.Commit(tx); err != nil {
		return kernel.Failed("write nftables", err)
	}
	return kernel.Report{Writes: 1}
}

// Diff returns the transaction that leads to the desired state. It returns false if nothing differs. It has no effects.
//
// If only addresses differ, the transaction changes only those. If rules differ, all chains and sets are made anew.
func Diff(actual, desired nft.Ruleset) (tx nft.Transaction, differs bool) {
	if structure(actual) != structure(desired) {
		for _, c := range actual.Chains {
			tx.DeleteChains = append(tx.DeleteChains, c.Name)
		}
		for _, s := range actual.Sets {
			tx.DeleteSets = append(tx.DeleteSets, s.Name)
		}
		tx.Chains, tx.Sets = desired.Chains, desired.Sets
		return tx, true
	}
	for i, s := range desired.Sets {
		deleted, added := s, s
		deleted.Ranges, added.Ranges = missing(actual.Sets[i].Ranges, s.Ranges), missing(s.Ranges, actual.Sets[i].Ranges)
		if len(deleted.Ranges) > 0 {
			tx.DeleteRanges = append(tx.DeleteRanges, deleted)
		}
		if len(added.Ranges) > 0 {
			tx.AddRanges = append(tx.AddRanges, added)
		}
	}
	return tx, len(tx.DeleteRanges)+len(tx.AddRanges) > 0
}

// structure describes chains, rules and the types of sets.
func structure(r nft.Ruleset) string {
	text := ""
	for _, c := range r.Chains {
		text += fmt.Sprintf("chain %s %v %+v\n", c.Name, c.Base, c.Hook)
		for _, rule := range c.Rules {
			text += rule.Tag + "\n"
		}
	}
	for _, s := range r.Sets {
		text += fmt.Sprintf("set %s %v %v\n", s.Name, s.V6, s.Intervals)
	}
	return text
}

// missing returns the ranges of a that are not in b.
func missing(a, b []nft.Range) (ranges []nft.Range) {
	there := make(map[nft.Range]bool, len(b))
	for _, r := range b {
		there[r] = true
	}
	for _, r := range a {
		if !there[r] {
			ranges = append(ranges, r)
		}
	}
	return ranges
}

func equal(a, b nft.Ruleset) bool {
	return structure(a) == structure(b) &&
		slices.EqualFunc(a.Sets, b.Sets, func(x, y nft.Set) bool { return slices.Equal(x.Ranges, y.Ranges) })
}
