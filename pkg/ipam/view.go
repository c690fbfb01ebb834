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

// View is what an allocation has to know before its first write, read in one parallel round.
type View struct {
	Config     Config
	Pools      []pool.Pool
	Reserved   []netip.Prefix
	NodeLabels map[string]string
	// Affinities of the node, newest first: the youngest block is the likeliest to have room. They may be some
	// milliseconds old.
	Affinities []AffinityRow
	// Remembered says that Affinities were not read: they are what the node remembers of where it last found room.
	Remembered bool
	// Blocks are remembered ones, as they were read beforehand or are remembered.
	Blocks map[netip.Prefix]Row[block.Block]
}

// Gather reads a View for a node. It fails when the datastore is not ready. remembered are blocks in which the node
// lately found room, if it remembers any: they save it the list of its affinities, for which the server would look at
// those of all nodes; and the blocks themselves, as far as it remembers these.
func (a *Allocator) Gather(ctx context.Context, c Cluster, node string, remembered []netip.Prefix) (View, error) {
	v := View{Remembered: len(remembered) > 0}
	for _, cidr := range remembered {
		v.Affinities = append(v.Affinities, AffinityRow{Key: AffinityKey{node, cidr}})
	}
	rows := make([]Row[block.Block], len(remembered))
	g, ctx := errgroup.WithContext(ctx)
	for i, cidr := range remembered {
		g.Go(func() (err error) {
			var ok bool
			if rows[i], ok = a.memory().Recall(cidr); ok {
				return nil
			}
			// One that cannot be read is read again, when it counts.
			rows[i], err = a.Store.Blocks().Get(ctx, cidr)
			return ignore(err, ErrNotFound, ErrMalformed)
		})
	}
	g.Go(func() error { return c.Ready(ctx) })
	g.Go(func() (err error) { v.Config, err = c.Config(ctx); return err })
	g.Go(func() (err error) { v.Reserved, err = c.Reservations(ctx); return err })
	if !v.Remembered {
		g.Go(func() (err error) {
			v.Affinities, err = a.Store.AffinitiesOf(ctx, node, true)
			newestFirst(v.Affinities)
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
			v.Blocks[remembered[i]] = row
		}
	}
	return v, nil
}

func newestFirst(rows []AffinityRow) {
	slices.SortFunc(rows, func(a, b AffinityRow) int {
		if c := b.Value.Created.Compare(a.Value.Created); c != 0 {
			return c
		}
		return cmp.Compare(a.Key.CIDR.String(), b.Key.CIDR.String())
	})
}
