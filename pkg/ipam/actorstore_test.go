// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"context"
	"net/netip"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/ipam/memstore"
)

// actorStore is the store of one actor. Each call is one step of the scheduler.
type actorStore struct {
	*memstore.Store
	a *actor
}

func (s actorStore) Blocks() ipam.Table[netip.Prefix, block.Block] {
	return actorTable[netip.Prefix, block.Block]{s.a, s.Store.Blocks(), "block"}
}

func (s actorStore) Affinities() ipam.Table[ipam.AffinityKey, ipam.Affinity] {
	return actorTable[ipam.AffinityKey, ipam.Affinity]{s.a, s.Store.Affinities(), "affinity"}
}

func (s actorStore) Handles() ipam.Table[string, ipam.Handle] {
	return actorTable[string, ipam.Handle]{s.a, s.Store.Handles(), "handle"}
}

func (s actorStore) AffinitiesOf(ctx context.Context, node string, cached bool) (rows []ipam.AffinityRow, err error) {
	what := "list affinities of"
	if cached {
		what = "list cached affinities of"
	}
	err = s.a.call(step{what: what, key: node}, func() (err error) {
		rows, err = s.Store.AffinitiesOf(ctx, node, cached)
		return err
	})
	return rows, err
}

func (s actorStore) BlocksOverlapping(ctx context.Context, cidr netip.Prefix) (cidrs []netip.Prefix, err error) {
	err = s.a.call(step{what: "read blocks overlapping", key: cidr}, func() (err error) {
		cidrs, err = s.Store.BlocksOverlapping(ctx, cidr)
		return err
	})
	return cidrs, err
}

type actorTable[K comparable, T any] struct {
	a    *actor
	in   ipam.Table[K, T]
	kind string
}

func (t actorTable[K, T]) Get(ctx context.Context, k K) (row ipam.Row[T], err error) {
	err = t.a.call(step{what: "get " + t.kind, key: k}, func() (err error) { row, err = t.in.Get(ctx, k); return err })
	return row, err
}

func (t actorTable[K, T]) Create(ctx context.Context, k K, v T) (row ipam.Row[T], err error) {
	err = t.a.call(step{"create " + t.kind, k, true}, func() (err error) {
		row, err = t.in.Create(ctx, k, v)
		return err
	})
	return row, err
}

func (t actorTable[K, T]) Update(ctx context.Context, k K, r ipam.Row[T]) (row ipam.Row[T], err error) {
	what := "update " + t.kind
	if r.Deleted {
		what = "mark " + t.kind
	}
	err = t.a.call(step{what, k, true}, func() (err error) { row, err = t.in.Update(ctx, k, r); return err })
	return row, err
}

func (t actorTable[K, T]) Delete(ctx context.Context, k K, r ipam.Row[T]) error {
	return t.a.call(step{"delete " + t.kind, k, true}, func() error { return t.in.Delete(ctx, k, r) })
}
