// SPDX-License-Identifier: Apache-2.0

// Package neigh keeps the permanent neighbours and the forwarding database (FDB) of the agent's VXLAN devices in the
// desired state. Entries that the kernel has learned, and entries of other devices, are left alone.
package neigh

import (
	"context"
	"fmt"
	"slices"

	"calico-cni/pkg/agent/kernel"
	"calico-cni/pkg/agent/kernel/link"
	"calico-cni/pkg/netstate"
)

// Devices returns the names of the VXLAN devices whose entries belong to the agent.
func Devices() []string { return []string{link.VXLANv4, link.VXLANv6} }

// Actual is the state of the kernel: the permanent entries of the agent's VXLAN devices.
type Actual struct {
	// Up has the devices that exist, and their administrative state.
	Up         map[string]bool
	Neighbours []netstate.Neighbour
	// FDB may have several entries for one MAC address.
	FDB []netstate.FDBEntry
}

// Kernel reads and writes the entries of VXLAN devices.
type Kernel interface {
	// Read returns the entries of the devices with the given names.
	Read(devices []string) (Actual, error)
	Write(change Change) error
}

// Verb says what a change does.
type Verb string

// The changes of an entry. Each is one request to the kernel.
const (
	// Set adds an entry, or replaces the first one with the same key.
	Set    Verb = "set"
	Delete Verb = "delete"
)

// Change is one change of a neighbour or of an FDB entry. The other one is zero.
type Change struct {
	Verb      Verb
	Neighbour netstate.Neighbour
	FDB       netstate.FDBEntry
}

// Object identifies the entry.
func (c Change) Object() string {
	if c.FDB.Dev != "" {
		return fmt.Sprintf("FDB entry %s of %s", c.FDB.MAC, c.FDB.Dev)
	}
	return fmt.Sprintf("neighbour %s of %s", c.Neighbour.Addr, c.Neighbour.Dev)
}

// String returns the change for messages.
func (c Change) String() string {
	if c.FDB.Dev != "" {
		return fmt.Sprintf("%s FDB entry %s dev %s dst %s", c.Verb, c.FDB.MAC, c.FDB.Dev, c.FDB.Dst)
	}
	return fmt.Sprintf("%s neighbour %s dev %s lladdr %s", c.Verb, c.Neighbour.Addr, c.Neighbour.Dev, c.Neighbour.MAC)
}

// Driver keeps neighbours and FDB entries in the desired state.
type Driver struct{ Kernel Kernel }

// Apply brings the entries to the desired state. Entries whose device is down or missing wait for it.
func (d Driver) Apply(ctx context.Context, neighbours []netstate.Neighbour, fdb []netstate.FDBEntry) kernel.Report {
	actual, err := d.Kernel.Read(Devices())
	if err != nil {
		return kernel.Failed("read neighbours", err)
	}
	return kernel.Execute(ctx, Diff(actual, neighbours, fdb), d.Kernel.Write)
}

// Diff returns what has to change. FDB entries come first: a neighbour without one sends to nowhere. It has no effects.
func Diff(actual Actual, neighbours []netstate.Neighbour, fdb []netstate.FDBEntry) (plan kernel.Plan[Change]) {
	fdbChanges, waiting := compare(actual.FDB, fdb, table[netstate.FDBEntry, fdbKey]{
		up: actual.Up, dev: func(e netstate.FDBEntry) string { return e.Dev },
		key:    func(e netstate.FDBEntry) fdbKey { return fdbKey{e.Dev, e.MAC} },
		change: func(v Verb, e netstate.FDBEntry) Change { return Change{Verb: v, FDB: e} },
	})
	neighChanges, alsoWaiting := compare(actual.Neighbours, neighbours, table[netstate.Neighbour, neighKey]{
		up: actual.Up, dev: func(n netstate.Neighbour) string { return n.Dev },
		key:    func(n netstate.Neighbour) neighKey { return neighKey{n.Dev, n.Addr} },
		change: func(v Verb, n netstate.Neighbour) Change { return Change{Verb: v, Neighbour: n} },
	})
	plan.Changes = slices.Concat(fdbChanges.set, neighChanges.set, neighChanges.deleted, fdbChanges.deleted)
	plan.Waiting = append(waiting, alsoWaiting...)
	return plan
}
