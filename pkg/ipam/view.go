// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"cmp"
	"context"
	"net/netip"
	"slices"

	"golang.org/x/sync/errgroup"

	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/ipam/pool"
)

// View is the state that an assignment starts from. Allocator.Gather reads it.
type View struct {
	Config     Config
	Pools      []pool.Pool
	Reserved   []netip.Prefix
	NodeLabels map[string]string
	// Affinities are those of the node, newest first: the newest block most likely has room. They may be some
	// milliseconds old.
	Affinities []AffinityRow
	// FromCache says that Affinities are the blocks in which the node last found room. They were not read, see Verified.
	FromCache bool
	// Blocks are the blocks of these affinities, from the cache or read. Assign removes those that it uses: after a
	// write they are stale.
	Blocks map[netip.Prefix]Row[block.Block]
}

func gather(
	ctx context.Context, b backend, c Cluster, node string, cached []netip.Prefix, verify bool,
) (View, error) {
	v := View{FromCache: len(cached) > 0}
	for _, cidr := range cached {
		v.Affinities = append(v.Affinities, AffinityRow{Key: AffinityKey{node, cidr}})
	}
	rows := make([]Row[block.Block], len(cached))
	outer := ctx
	g, ctx := errgroup.WithContext(ctx)
	if verify && v.FromCache {
		v.readAffinities(ctx, g, b)
	}
	for i, cidr := range cached {
		g.Go(func() (err error) {
			var ok bool
			if rows[i], ok = b.cache.Get(cidr); ok {
				return nil
			}
			// A block that cannot be read here is read again when the plan needs it.
			rows[i], err = b.store.Blocks().Get(ctx, cidr)
			return ignore(err, ErrNotFound, ErrMalformed)
		})
	}
	g.Go(func() error { return c.Ready(ctx) })
	g.Go(func() (err error) { v.Config, err = c.Config(ctx); return err })
	g.Go(func() (err error) { v.Reserved, err = c.Reservations(ctx); return err })
	if !v.FromCache {
		g.Go(func() (err error) {
			v.Affinities, err = b.store.AffinitiesOf(ctx, node, true)
			sortNewestFirst(v.Affinities)
			return err
		})
	}
	g.Go(func() (err error) {
		if v.Pools, err = c.Pools(ctx); err != nil || !pool.NeedsNodeLabels(v.Pools) {
			return err
		}
		v.NodeLabels, err = c.NodeLabels(ctx, node)
		return err
	})
	if err := g.Wait(); err != nil {
		return v, err
	}
	v.Blocks = make(map[netip.Prefix]Row[block.Block], len(rows))
	for i, row := range rows {
		if row.Rev != nil && !row.Deleted {
			v.Blocks[cached[i]] = row
		}
	}
	unconfirmed := func(r AffinityRow) bool { return !v.Verified(r.Key.CIDR) }
	if verify && v.FromCache && slices.ContainsFunc(v.Affinities, unconfirmed) {
		var err error
		v.FromCache = false
		v.Affinities, err = b.store.AffinitiesOf(outer, node, false)
		sortNewestFirst(v.Affinities)
		return v, err
	}
	return v, nil
}

// readAffinities reads the affinities of the cached blocks.
func (v *View) readAffinities(ctx context.Context, g *errgroup.Group, b backend) {
	for i := range v.Affinities {
		g.Go(func() (err error) {
			row := &v.Affinities[i]
			row.Row, err = b.store.Affinities().Get(ctx, row.Key)
			return ignore(err, ErrNotFound, ErrMalformed)
		})
	}
}

// Verified reports whether the affinity of a block was read, or is read before an address of the block is allocated.
func (v View) Verified(cidr netip.Prefix) bool {
	return !v.FromCache || slices.ContainsFunc(v.Affinities, func(r AffinityRow) bool {
		return r.Key.CIDR == cidr && r.Rev != nil && !r.Deleted && r.Value.State == Confirmed
	})
}

func sortNewestFirst(rows []AffinityRow) {
	slices.SortFunc(rows, func(a, b AffinityRow) int {
		if c := b.Value.Created.Compare(a.Value.Created); c != 0 {
			return c
		}
		return cmp.Compare(a.Key.CIDR.String(), b.Key.CIDR.String())
	})
}
