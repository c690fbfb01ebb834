// Package memstore is an ipam.Store in memory. It enforces what the API server enforces: compare-and-swap on every
// write, and values that nobody shares. What an allocator can do wrong against a cluster, it can do wrong here.
package memstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"time"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/ipam/pool"
)

// ErrProtocol: the caller broke the protocol of ipam.Table.
var ErrProtocol = errors.New("row was not read before")

// Store is an ipam.Store and an ipam.Cluster; the fields are the cluster's settings, to be set before use.
type Store struct {
	Settings ipam.Config
	IPPools  []pool.Pool
	Reserved []netip.Prefix
	Labels   map[string]string
	Locked   bool
	// Now is the clock that dates new affinities.
	Now func() time.Time

	blocks     *table[netip.Prefix, block.Block]
	affinities *table[ipam.AffinityKey, ipam.Affinity]
	handles    *table[string, ipam.Handle]
}

// New returns an empty store with the default configuration.
func New(now func() time.Time) *Store {
	s := &Store{Settings: ipam.DefaultConfig(), Now: now}
	s.blocks = newTable[netip.Prefix]("block", block.Block.Clone, nil)
	s.affinities = newTable[ipam.AffinityKey]("affinity", func(a ipam.Affinity) ipam.Affinity { return a },
		func(a ipam.Affinity) ipam.Affinity { a.Created = s.Now(); return a })
	s.handles = newTable[string]("handle", func(h ipam.Handle) ipam.Handle { h.Counts = maps.Clone(h.Counts); return h }, nil)
	return s
}

// Blocks implements ipam.Store.
func (s *Store) Blocks() ipam.Table[netip.Prefix, block.Block] { return s.blocks }

// Affinities implements ipam.Store.
func (s *Store) Affinities() ipam.Table[ipam.AffinityKey, ipam.Affinity] { return s.affinities }

// Handles implements ipam.Store.
func (s *Store) Handles() ipam.Table[string, ipam.Handle] { return s.handles }

// AffinitiesOf implements ipam.Store. It is never stale.
func (s *Store) AffinitiesOf(_ context.Context, node string, _ bool) ([]ipam.AffinityRow, error) {
	var rows []ipam.AffinityRow
	for key, row := range s.affinities.all() {
		if key.Node == node {
			rows = append(rows, ipam.AffinityRow{Key: key, Row: row})
		}
	}
	slices.SortFunc(rows, func(a, b ipam.AffinityRow) int { return cmp.Compare(a.Key.CIDR.String(), b.Key.CIDR.String()) })
	return rows, nil
}

// Ready implements ipam.Cluster.
func (s *Store) Ready(context.Context) error {
	if s.Locked {
		return ipam.ErrNotReady
	}
	return nil
}

// Config implements ipam.Cluster.
func (s *Store) Config(context.Context) (ipam.Config, error) { return s.Settings, nil }

// Pools implements ipam.Cluster.
func (s *Store) Pools(context.Context) ([]pool.Pool, error) { return slices.Clone(s.IPPools), nil }

// Reservations implements ipam.Cluster.
func (s *Store) Reservations(context.Context) ([]netip.Prefix, error) {
	return slices.Clone(s.Reserved), nil
}

// NodeLabels implements ipam.Cluster.
func (s *Store) NodeLabels(context.Context, string) (map[string]string, error) {
	return maps.Clone(s.Labels), nil
}

type table[K comparable, T any] struct {
	mu    sync.Mutex
	kind  string
	clone func(T) T
	stamp func(T) T
	rows  map[K]ipam.Row[T]
	last  int64
}

func newTable[K comparable, T any](kind string, clone, stamp func(T) T) *table[K, T] {
	if stamp == nil {
		stamp = func(v T) T { return v }
	}
	return &table[K, T]{kind: kind, clone: clone, stamp: stamp, rows: map[K]ipam.Row[T]{}}
}

func (t *table[K, T]) Get(_ context.Context, key K) (ipam.Row[T], error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	row, ok := t.rows[key]
	if !ok {
		return ipam.Row[T]{}, t.fail("get", key, ipam.ErrNotFound)
	}
	return t.copy(row), nil
}

func (t *table[K, T]) Create(_ context.Context, key K, value T) (ipam.Row[T], error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.rows[key]; ok {
		return ipam.Row[T]{}, t.fail("create", key, ipam.ErrExists)
	}
	return t.put(key, ipam.Row[T]{Value: t.stamp(value)}), nil
}

func (t *table[K, T]) Update(_ context.Context, key K, row ipam.Row[T]) (ipam.Row[T], error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.same("update", key, row); err != nil {
		return ipam.Row[T]{}, err
	}
	// Like the API server, which does not write an update that changes nothing (k8s.io/apiserver, storage/etcd3,
	// GuaranteedUpdate).
	if stored := t.rows[key]; stored.Deleted == row.Deleted && reflect.DeepEqual(stored.Value, row.Value) {
		return t.copy(stored), nil
	}
	return t.put(key, row), nil
}

func (t *table[K, T]) Delete(_ context.Context, key K, row ipam.Row[T]) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.same("delete", key, row); err != nil {
		return err
	}
	delete(t.rows, key)
	return nil
}

// same returns nil when the stored row is still the one of row's revision.
func (t *table[K, T]) same(verb string, key K, row ipam.Row[T]) error {
	stored, ok := t.rows[key]
	switch {
	case row.Rev == nil:
		return t.fail(verb, key, ErrProtocol)
	case !ok:
		return t.fail(verb, key, ipam.ErrNotFound)
	case stored.Rev != row.Rev:
		return t.fail(verb, key, ipam.ErrConflict)
	}
	return nil
}

func (t *table[K, T]) put(key K, row ipam.Row[T]) ipam.Row[T] {
	t.last++
	row.Rev = t.last
	t.rows[key] = t.copy(row)
	return t.copy(row)
}

func (t *table[K, T]) copy(row ipam.Row[T]) ipam.Row[T] {
	row.Value = t.clone(row.Value)
	return row
}

func (t *table[K, T]) all() map[K]ipam.Row[T] {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make(map[K]ipam.Row[T], len(t.rows))
	for k, row := range t.rows {
		out[k] = t.copy(row)
	}
	return out
}

func (t *table[K, T]) fail(verb string, key K, err error) error {
	return fmt.Errorf("%s %s %v: %w", verb, t.kind, key, err)
}
