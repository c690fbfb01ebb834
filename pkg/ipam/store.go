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
	// Deleted says that another writer has begun to delete the row: a reader takes it for absent, and may finish the
	// deletion.
	Deleted bool
	// UID identifies the stored object: a row that is deleted and created again has another UID.
	UID string
	// Rev is the store's own: which revision this is, and whatever else an update has to keep. Callers pass it back
	// unread.
	Rev any
}

// Table is one kind of rows. Every write is compare-and-swap: it takes effect only if the row is still the one read.
type Table[K comparable, T any] interface {
	// Get returns the newest row, one whose deletion has begun included. An error wraps ErrNotFound when there is none.
	Get(ctx context.Context, key K) (Row[T], error)
	// Create stores a new row. An error wraps ErrExists when there is one, be its deletion begun or not.
	Create(ctx context.Context, key K, value T) (Row[T], error)
	// Update replaces the row that Rev names. An error wraps ErrConflict when it was written since, ErrNotFound when it
	// is gone. An update that changes nothing succeeds and may keep the revision: a writer that needs a new revision
	// changes a field.
	Update(ctx context.Context, key K, row Row[T]) (Row[T], error)
	// Delete removes the row that Rev names. Errors are those of Update.
	Delete(ctx context.Context, key K, row Row[T]) error
}

// Store is what the allocator reads and writes. Only the store decides what is true: nothing kept in memory counts
// until a write is in.
type Store interface {
	Blocks() Table[netip.Prefix, block.Block]
	Affinities() Table[AffinityKey, Affinity]
	Handles() Table[string, Handle]
	// AffinitiesOf returns the affinities of a node, of both families and in every state. A cached answer may be some
	// milliseconds old: it may lack the newest row and hold one that is gone.
	AffinitiesOf(ctx context.Context, node string, cached bool) ([]AffinityRow, error)
	// BlocksOverlapping returns every block, of any size, that has an address of a CIDR, whether its deletion has begun
	// or not. It has every block that was created before the call and exists throughout it.
	BlocksOverlapping(ctx context.Context, cidr netip.Prefix) ([]netip.Prefix, error)
}

// Cluster is what the allocator has to know of the cluster and never writes.
type Cluster interface {
	// Ready returns nil, or an error that wraps ErrNotReady while the datastore is locked for an upgrade.
	Ready(ctx context.Context) error
	// Config returns the cluster's IPAM configuration, defaults applied.
	Config(ctx context.Context) (Config, error)
	// Pools returns every pool, usable or not.
	Pools(ctx context.Context) ([]pool.Pool, error)
	// Reservations returns what is never handed out unless asked for by address.
	Reservations(ctx context.Context) ([]netip.Prefix, error)
	// NodeLabels returns the labels of the Kubernetes node.
	NodeLabels(ctx context.Context, node string) (map[string]string, error)
}

// AffinityKey names an affinity: the claim of a node on a block.
type AffinityKey struct {
	Node string
	CIDR netip.Prefix
}

// State is how far a claim has come.
type State string

// The states of an affinity. Only a confirmed one counts for ownership and for routes.
const (
	Pending         State = "pending"
	Confirmed       State = "confirmed"
	PendingDeletion State = "pendingDeletion"
)

// Affinity is the claim of a node on a block.
type Affinity struct {
	State State
	// Created is when the row was made; zero in a row not yet stored.
	Created time.Time
}

// AffinityRow is an affinity with its key.
type AffinityRow struct {
	Key AffinityKey
	Row[Affinity]
}

// Handle counts, block by block, the addresses that one holder has. It may count more than the blocks hold (a crash
// lies between the two writes), never less.
type Handle struct {
	// ID in its original case.
	ID     string
	Counts map[netip.Prefix]int
	// Touches counts the writes that only give the handle a new revision. A store does not write an update that changes
	// nothing, so each of these writes changes this counter.
	Touches int
}

// Config is the IPAM configuration of the cluster.
type Config struct {
	// StrictAffinity forbids a node to borrow from blocks of others.
	StrictAffinity bool
	// AutoAllocateBlocks lets a node claim blocks as it needs them.
	AutoAllocateBlocks bool
	// MaxBlocksPerHost bounds the blocks of a node, per family.
	MaxBlocksPerHost int
	// Cooldown is how long a released address rests.
	Cooldown time.Duration
}

// DefaultMaxBlocksPerHost applies where the configuration says 0 or nothing.
const DefaultMaxBlocksPerHost = 20

// DefaultConfig returns what applies when the cluster has no IPAMConfig.
func DefaultConfig() Config {
	return Config{AutoAllocateBlocks: true, MaxBlocksPerHost: DefaultMaxBlocksPerHost}
}
