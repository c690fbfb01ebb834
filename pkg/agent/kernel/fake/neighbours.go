// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"slices"

	"golang.org/x/sys/unix"

	"calico-cni/pkg/agent/kernel/neigh"
	"calico-cni/pkg/netstate"
)

// Neighbours is the part of the kernel that the driver of neighbours and FDB entries uses.
type Neighbours struct{ k *Kernel }

// Neighbours returns the part of the kernel that the driver of neighbours and FDB entries uses.
func (k *Kernel) Neighbours() Neighbours { return Neighbours{k} }

// Read returns the permanent entries of the devices with the given names.
func (n Neighbours) Read(devices []string) (neigh.Actual, error) {
	actual := neigh.Actual{Up: map[string]bool{}}
	for _, name := range devices {
		if d := n.k.links[name]; d != nil && d.found.Device.Kind == netstate.VXLAN {
			actual.Up[name] = d.found.Up
		}
	}
	for _, e := range n.k.neighbours {
		if slices.Contains(devices, e.Dev) {
			actual.Neighbours = append(actual.Neighbours, e)
		}
	}
	for _, e := range n.k.fdb {
		if slices.Contains(devices, e.Dev) {
			actual.FDB = append(actual.FDB, e)
		}
	}
	return actual, nil
}

// Write makes a change.
func (n Neighbours) Write(c neigh.Change) (err error) {
	if c.FDB.Dev == "" {
		want := c.Neighbour
		n.k.neighbours, err = change(n.k, n.k.neighbours, want, c.Verb, want.Dev, func(e netstate.Neighbour) bool {
			return e.Dev == want.Dev && e.Addr == want.Addr
		})
		return err
	}
	if d := n.k.links[c.FDB.Dev]; d != nil && d.found.Device.Kind != netstate.VXLAN {
		return unix.EOPNOTSUPP
	}
	n.k.fdb, err = change(n.k, n.k.fdb, c.FDB, c.Verb, c.FDB.Dev, func(e netstate.FDBEntry) bool {
		return e.Dev == c.FDB.Dev && e.MAC == c.FDB.MAC
	})
	return err
}

// change sets or deletes an entry. A set replaces the first entry with the same key.
func change[E comparable](k *Kernel, all []E, want E, verb neigh.Verb, dev string, sameKey func(E) bool) ([]E, error) {
	d := k.links[dev]
	switch {
	case d == nil:
		return all, unix.ENODEV
	case verb == neigh.Delete:
		i := slices.Index(all, want)
		if i < 0 {
			return all, unix.ENOENT
		}
		return slices.Delete(all, i, i+1), nil
	case !d.found.Up:
		return all, unix.ENETDOWN
	}
	if i := slices.IndexFunc(all, sameKey); i >= 0 {
		all[i] = want
		return all, nil
	}
	return append(all, want), nil
}
