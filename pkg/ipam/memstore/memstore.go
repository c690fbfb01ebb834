// SPDX-License-Identifier: Apache-2.0

// Package memstore is an ipam.Store in memory. For an allocator it behaves like the API server: docs/store-contract.md
// lists the behaviour, and package storetest checks it on this store and on the real server.
package memstore

import (
	"cmp"
	"context"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
)

// Store is an ipam.Store and an ipam.Cluster. The exported fields are settings; set them before use.
type Store struct {
	Cluster
	// Now is the clock for the creation time of affinities.
	Now func() time.Time
	// Lag returns how many of n changes of affinities a cached list lacks. Nil means none.
	Lag func(n int) int
	// Fault decides the outcome of each request; nil lets every request pass.
	Fault func(Request) Outcome

	mu         sync.Mutex
	counters   counters
	blocks     *table[netip.Prefix, block.Block]
	affinities *table[ipam.AffinityKey, ipam.Affinity]
	handles    *table[string, ipam.Handle]
	// held are the rows with a finalizer.
	held   map[string]bool
	listed history
}

// counters are the last revision and UID. Restore resets the revision, but not the UID.
type counters struct{ revision, uid int64 }

// New returns an empty store with the default configuration.
func New(now func() time.Time) *Store {
	s := &Store{Cluster: Cluster{Settings: ipam.DefaultConfig()}, Now: now, held: map[string]bool{}}
	s.blocks = &table[netip.Prefix, block.Block]{
		store: s, kind: "block", codec: blockCodec{}, rows: rowsOf[netip.Prefix, block.Block]{},
	}
	s.affinities = &table[ipam.AffinityKey, ipam.Affinity]{
		store: s, kind: "affinity", codec: affinityCodec{s}, rows: rowsOf[ipam.AffinityKey, ipam.Affinity]{},
		changed: func() { s.listed.add(s.affinities.rows) },
	}
	s.handles = &table[string, ipam.Handle]{
		store: s, kind: "handle", codec: handleCodec{}, rows: rowsOf[string, ipam.Handle]{},
	}
	return s
}

// Blocks implements ipam.Store.
func (s *Store) Blocks() ipam.Table[netip.Prefix, block.Block] { return s.blocks }

// Affinities implements ipam.Store.
func (s *Store) Affinities() ipam.Table[ipam.AffinityKey, ipam.Affinity] { return s.affinities }

// Handles implements ipam.Store.
func (s *Store) Handles() ipam.Table[string, ipam.Handle] { return s.handles }

// AffinitiesOf implements ipam.Store. A cached list may lack changes, as Lag says.
func (s *Store) AffinitiesOf(_ context.Context, node string, cached bool) ([]ipam.AffinityRow, error) {
	if s.Fault != nil && s.Fault(Request{Verb: "list", Kind: "affinity"}) != Pass {
		return nil, errUnavailable
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rows := s.affinities.rows
	if n := len(s.listed); cached && s.Lag != nil && n > 0 {
		if behind := s.Lag(n); behind > 0 {
			rows = s.listed.past(behind)
		}
	}
	var out []ipam.AffinityRow
	for _, row := range rows {
		if row.key.Node == node {
			out = append(out, ipam.AffinityRow{Key: row.key, Row: s.affinities.copy(row.row)})
		}
	}
	slices.SortFunc(out, func(a, b ipam.AffinityRow) int {
		return cmp.Compare(a.Key.CIDR.String(), b.Key.CIDR.String())
	})
	return out, nil
}

// Revision returns the revision of the last change.
func (s *Store) Revision() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counters.revision
}

// Changes returns the number of changes of affinities.
func (s *Store) Changes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.listed)
}

// Hold sets a finalizer on a block, so that a deletion only marks it.
func (s *Store) Hold(cidr netip.Prefix) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held["block "+s.blocks.codec.name(cidr)] = true
}

// history has the affinities after each change, oldest first.
type history []rowsOf[ipam.AffinityKey, ipam.Affinity]

func (h *history) add(rows rowsOf[ipam.AffinityKey, ipam.Affinity]) {
	*h = append(*h, maps.Clone(rows))
}

// past returns the affinities as they were some changes ago.
func (h history) past(behind int) rowsOf[ipam.AffinityKey, ipam.Affinity] {
	if behind >= len(h) {
		return nil
	}
	return h[len(h)-1-behind]
}

// Snapshot is the contents of a store, like a backup of etcd.
type Snapshot struct {
	revision   int64
	blocks     rowsOf[netip.Prefix, block.Block]
	affinities rowsOf[ipam.AffinityKey, ipam.Affinity]
	handles    rowsOf[string, ipam.Handle]
}

// Snapshot returns the contents of the store.
func (s *Store) Snapshot() Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Snapshot{
		revision: s.counters.revision, blocks: maps.Clone(s.blocks.rows),
		affinities: maps.Clone(s.affinities.rows), handles: maps.Clone(s.handles.rows),
	}
}

// Restore sets the store back to a snapshot. Later writes use the same revisions again for other contents, but not the
// same UIDs.
func (s *Store) Restore(old Snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counters.revision = old.revision
	s.blocks.rows, s.affinities.rows = maps.Clone(old.blocks), maps.Clone(old.affinities)
	s.handles.rows = maps.Clone(old.handles)
	s.listed = nil
	s.listed.add(s.affinities.rows)
}
