// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"context"
	"net/netip"
	"time"

	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/ipam/pool"
)

// Row is one stored value as it was read or written.
type Row[T any] struct {
	Value T
	// Deleted says that another writer has marked the row as deleted. Readers treat it as absent and may delete it.
	Deleted bool
	// UID identifies the stored object. A row that is deleted and created again has another UID.
	UID string
	// Rev is opaque to callers. It identifies the revision, and has the fields of the object that an update must keep.
	Rev any
}

// Table is one kind of rows. Every write is a compare-and-swap: it takes effect only if the row has not changed since
// it was read.
type Table[K comparable, T any] interface {
	// Get returns the newest row, even if it is marked as deleted. It fails with ErrNotFound if there is none.
	Get(ctx context.Context, key K) (Row[T], error)
	// Create stores a new row. It fails with ErrExists if there is one, even if that is marked as deleted.
	Create(ctx context.Context, key K, value T) (Row[T], error)
	// Update replaces the row that Rev identifies. It fails with ErrConflict if the row has changed since, and with
	// ErrNotFound if it was deleted. An update that changes nothing succeeds and may keep the revision: a caller that
	// needs a new revision has to change a field.
	Update(ctx context.Context, key K, row Row[T]) (Row[T], error)
	// Delete removes the row that Rev identifies. Errors are those of Update.
	Delete(ctx context.Context, key K, row Row[T]) error
}

// Store holds the rows that the allocator reads and writes. pkg/ipam/storetest is its contract as a test suite.
type Store interface {
	Blocks() Table[netip.Prefix, block.Block]
	Affinities() Table[AffinityKey, Affinity]
	Handles() Table[string, Handle]
	// AffinitiesOf returns the affinities of a node, of both IP families and in every state. A cached answer may be
	// stale by some milliseconds: it may lack a new row and have one that was deleted.
	AffinitiesOf(ctx context.Context, node string, cached bool) ([]AffinityRow, error)
	// BlocksOverlapping returns the blocks of any size that overlap a CIDR, including those that are marked as
	// deleted. The answer has every block that was created before the call and exists until its end.
	BlocksOverlapping(ctx context.Context, cidr netip.Prefix) ([]netip.Prefix, error)
}

// Cluster is the configuration of the cluster, which the allocator only reads.
type Cluster interface {
	// Ready returns an error that wraps ErrNotReady while the datastore is locked for an upgrade.
	Ready(ctx context.Context) error
	// Config returns the IPAM configuration of the cluster, with defaults applied.
	Config(ctx context.Context) (Config, error)
	// Pools returns all pools, including disabled and invalid ones.
	Pools(ctx context.Context) ([]pool.Pool, error)
	// Reservations returns the addresses that are allocated only if a request names them.
	Reservations(ctx context.Context) ([]netip.Prefix, error)
	// NodeLabels returns the labels of a Kubernetes node.
	NodeLabels(ctx context.Context, node string) (map[string]string, error)
}

// AffinityKey identifies an affinity.
type AffinityKey struct {
	Node string
	CIDR netip.Prefix
}

// State is the state of an affinity.
type State string

// The states of an affinity. Only a confirmed affinity counts for ownership and for routes.
const (
	Pending         State = "pending"
	Confirmed       State = "confirmed"
	PendingDeletion State = "pendingDeletion"
)

// Affinity is the claim of a node on a block. The node allocates addresses from the block.
type Affinity struct {
	State State
	// Created is the time at which the row was created. It is zero in a row that is not stored yet.
	Created time.Time
}

// AffinityRow is an affinity with its key.
type AffinityRow struct {
	Key AffinityKey
	Row[Affinity]
}

// Handle counts the addresses that are allocated under one ID, per block. After a crash it may count more than the
// blocks hold, but never less: the handle leads to every address.
type Handle struct {
	// ID has its original case; the name of the stored object is in lower case.
	ID     string
	Counts map[netip.Prefix]int
	// Touches counts the writes that only give the handle a new revision. A store does not write an update that changes
	// nothing, so each of these writes changes this counter.
	Touches int
}

// Config is the IPAM configuration of the cluster.
type Config struct {
	// StrictAffinity forbids nodes to borrow addresses from blocks of other nodes.
	StrictAffinity bool
	// AutoAllocateBlocks lets nodes claim blocks.
	AutoAllocateBlocks bool
	// MaxBlocksPerHost bounds the number of blocks of a node per IP family.
	MaxBlocksPerHost int
	// Cooldown is the time before a released address is allocated again.
	Cooldown time.Duration
}

// DefaultMaxBlocksPerHost applies if the configuration has 0 or no value.
const DefaultMaxBlocksPerHost = 20

// DefaultConfig returns the configuration of a cluster without an IPAMConfig.
func DefaultConfig() Config {
	return Config{AutoAllocateBlocks: true, MaxBlocksPerHost: DefaultMaxBlocksPerHost}
}
