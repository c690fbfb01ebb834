package ipam

import (
	"cmp"
	"context"
	"net/netip"
	"slices"

	"golang.org/x/sync/errgroup"

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
}

// Gather reads a View for a node. It fails when the datastore is not ready. remembered are blocks in which the node
// lately found room, if it remembers any: they save it the list of its affinities, for which the server would look at
// those of all nodes.
func Gather(ctx context.Context, c Cluster, s Store, node string, remembered []netip.Prefix) (View, error) {
	v := View{Remembered: len(remembered) > 0}
	for _, cidr := range remembered {
		v.Affinities = append(v.Affinities, AffinityRow{Key: AffinityKey{node, cidr}})
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.Ready(ctx) })
	g.Go(func() (err error) { v.Config, err = c.Config(ctx); return err })
	g.Go(func() (err error) { v.Reserved, err = c.Reservations(ctx); return err })
	if !v.Remembered {
		g.Go(func() (err error) {
			v.Affinities, err = s.AffinitiesOf(ctx, node, true)
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
	return v, g.Wait()
}

func newestFirst(rows []AffinityRow) {
	slices.SortFunc(rows, func(a, b AffinityRow) int {
		if c := b.Value.Created.Compare(a.Value.Created); c != 0 {
			return c
		}
		return cmp.Compare(a.Key.CIDR.String(), b.Key.CIDR.String())
	})
}

// reserved reports whether an address is set aside.
func (v View) reserved(addr netip.Addr) bool {
	return slices.ContainsFunc(v.Reserved, func(p netip.Prefix) bool { return p.Contains(addr) })
}
