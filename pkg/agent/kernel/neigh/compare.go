// SPDX-License-Identifier: Apache-2.0

package neigh

import (
	"fmt"
	"net/netip"
	"slices"

	"calico-cni/pkg/netstate"
)

// The keys of the kernel: it has one entry for each.
type (
	fdbKey struct {
		dev string
		mac netstate.MAC
	}
	neighKey struct {
		dev  string
		addr netip.Addr
	}
)

// table describes a kind of entry.
type table[E comparable, K comparable] struct {
	up     map[string]bool
	dev    func(E) string
	key    func(E) K
	change func(Verb, E) Change
}

// changes are the changes of one kind of entry.
type changes struct{ set, deleted []Change }

// compare returns the changes of one kind of entry, and what waits for its device.
func compare[E comparable, K comparable](actual, desired []E, t table[E, K]) (c changes, waiting []string) {
	there := map[K][]E{}
	for _, e := range actual {
		there[t.key(e)] = append(there[t.key(e)], e)
	}
	keep, held := map[E]bool{}, map[string]int{}
	for _, want := range desired {
		found := there[t.key(want)]
		switch {
		case !t.up[t.dev(want)]:
			held[t.dev(want)]++
		case slices.Contains(found, want):
			keep[want] = true
		default:
			if len(found) > 0 {
				// The kernel replaces the first entry.
				keep[found[0]] = true
			}
			c.set = append(c.set, t.change(Set, want))
		}
	}
	for _, e := range actual {
		if !keep[e] {
			c.deleted = append(c.deleted, t.change(Delete, e))
		}
	}
	for dev, n := range held {
		waiting = append(waiting, fmt.Sprintf("%d entries of %s: the device is down or does not exist", n, dev))
	}
	return c, waiting
}
