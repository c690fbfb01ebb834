package ipam

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"

	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/ipam/pool"
)

// survey is a walk through one pool.
type survey struct {
	*search
	want     Want
	pool     pool.Pool
	mayClaim bool
	// idle are blocks that other nodes own and do not use, roomy those with an address to lend.
	idle  []netip.Prefix
	roomy []place
	// space is the blocks to walk through. others are blocks of other sizes, which are left out after the first collision
	// with one, when they are read; seen are the blocks that were looked at by then.
	space      pool.Space
	others     []netip.Prefix
	othersRead bool
	seen       map[netip.Prefix]bool
	// What the walk met.
	looked, taken, free int
}

// run walks the pool until it has claimed a block, and else takes over an idle one. It returns errFull when neither
// can be had.
func (v *survey) run(ctx context.Context) (place, error) {
	v.seen = map[netip.Prefix]bool{}
	for again := true; again; {
		found, restart, err := v.walk(ctx)
		if !errors.Is(err, errFull) {
			return found, err
		}
		again = restart
	}
	if v.dry && v.looked >= v.probes() {
		return place{want: v.want}, nil
	}
	if !v.mayClaim {
		return place{}, errFull
	}
	for _, cidr := range v.idle {
		found, err := v.claim(ctx, cidr, v.a.takeOver)
		if !errors.Is(err, errFull) {
			return found, err
		}
	}
	return place{}, errFull
}

// walk walks the pool until it has claimed a block. It returns errFull when there is none to claim, and restart when
// the space has changed.
func (v *survey) walk(ctx context.Context) (found place, restart bool, err error) {
	v.space = v.pool.Space(v.reserved, append(v.pool.Inner(v.view.Pools), v.others...))
	next, stop := iter.Pull(v.space.Walk(v.request.Node))
	defer stop()
	known := v.othersRead
	for size := 1; v.looked < v.probes(); size = min(2*size, maxBatch) {
		batch := v.batch(next, size)
		if len(batch) == 0 {
			break
		}
		found, err := v.look(ctx, batch)
		if !errors.Is(err, errFull) || v.othersRead != known {
			return found, v.othersRead != known, err
		}
		if !v.mayClaim && (v.view.Config.StrictAffinity || len(v.roomy) > 0) {
			break
		}
	}
	return place{}, false, errFull
}

// batch returns the next blocks that are worth a look.
func (v *survey) batch(next func() (netip.Prefix, bool), size int) []netip.Prefix {
	var batch []netip.Prefix
	for len(batch) < size {
		cidr, ok := next()
		if !ok {
			break
		}
		// Only what costs a request counts as a look. What costs none is little: the node's own blocks.
		switch {
		case v.seen[cidr]:
		case v.owns(cidr):
			v.seen[cidr] = true
			v.taken++
		default:
			v.seen[cidr] = true
			v.looked++
			batch = append(batch, cidr)
		}
	}
	return batch
}

// look reads blocks side by side, claims the first that is free, and remembers what the others are good for.
func (v *survey) look(ctx context.Context, batch []netip.Prefix) (place, error) {
	rows, missing, malformed := make([]Row[block.Block], len(batch)), make([]bool, len(batch)), make([]bool, len(batch))
	g, inGroup := v.a.group(ctx)
	for i, cidr := range batch {
		g.Go(func() (err error) {
			rows[i], err = get(inGroup, v.a.Store.Blocks(), cidr)
			missing[i], malformed[i] = errors.Is(err, ErrNotFound), errors.Is(err, ErrMalformed)
			return ignore(err, ErrNotFound, ErrMalformed)
		})
	}
	if err := g.Wait(); err != nil {
		return place{}, err
	}
	for i, cidr := range batch {
		switch {
		case missing[i] && v.mayClaim:
			found, err := v.claim(ctx, cidr, v.a.claim)
			if !errors.Is(err, errFull) {
				return found, err
			}
		case malformed[i]:
			// Its addresses may be in use. It is neither taken over nor borrowed from.
			v.taken++
		case !missing[i]:
			v.remember(place{want: v.want, cidr: cidr, row: rows[i]})
		}
	}
	return place{}, errFull
}

// remember notes what a block of somebody else is good for.
func (v *survey) remember(p place) {
	v.taken++
	b := p.row.Value
	if !strings.HasPrefix(b.Affinity, hostPrefix) && b.Affinity != "" || b.Validate() != nil {
		return
	}
	v.free += v.leftovers.add(b, v.reserved)
	if b.Affinity != "" && b.Empty() && v.a.Now().Sub(b.ClaimTime) > idleAfter && len(v.idle) < maxKept {
		v.idle = append(v.idle, p.cidr)
	}
	if len(v.roomy) < maxKept && v.room(p) == nil {
		v.roomy = append(v.roomy, p)
	}
}

// claim makes a block the node's by the given means. It returns errFull when somebody else has it, or it has no room.
func (v *survey) claim(
	ctx context.Context, cidr netip.Prefix, by func(context.Context, string, netip.Prefix) (claimed, error),
) (place, error) {
	var mine claimed
	var err error
	if v.dry {
		err = v.a.overlapping(ctx, cidr)
	} else {
		mine, err = by(ctx, v.request.Node, cidr)
	}
	if errors.Is(v.collision(err), errFull) {
		v.taken++
		return place{}, cmp.Or(v.readOthers(ctx), errFull)
	}
	if errors.Is(err, errNotOurs) {
		v.taken++
		return place{}, errFull
	}
	if err != nil || v.dry {
		return place{want: v.want, cidr: cidr}, err
	}
	v.view.Affinities = append(v.view.Affinities, AffinityRow{
		Key: AffinityKey{v.request.Node, cidr}, Row: Row[Affinity]{Value: Affinity{State: Confirmed}},
	})
	found := place{want: v.want, cidr: cidr, row: mine.row, admitted: mine.checked}
	if err := v.room(found); err != nil {
		return found, err
	}
	return found, v.collision(v.admit(ctx, found))
}

// readOthers reads which blocks of other sizes the pool has, after a collision with one, so that the walk leaves out
// what they overlap. It lists all blocks in a large pool; this happens only where blocks of several sizes share a
// pool, and once in a survey.
func (v *survey) readOthers(ctx context.Context) error {
	if v.othersRead {
		return nil
	}
	cidrs, err := v.a.Store.BlocksOverlapping(ctx, v.pool.CIDR)
	if err != nil {
		return fmt.Errorf("look for blocks that overlap pool %s: %w", v.pool.Name, err)
	}
	v.othersRead = true
	v.others = slices.DeleteFunc(cidrs, func(cidr netip.Prefix) bool { return cidr.Bits() == v.pool.BlockSize })
	return nil
}

// reason says why the pool gave nothing.
func (v *survey) reason(limit string) string {
	if limit != "" {
		return limit + v.strict()
	}
	if v.looked >= v.probes() {
		return fmt.Sprintf("no free block among the %d of %d looked at (retry, or add an IPPool)%s",
			v.looked, v.pool.Blocks(), v.strict())
	}
	remedy := "free addresses, or add an IPPool"
	reserved := v.pool.Blocks() - v.pool.Space(v.reserved, nil).Len()
	if reserved > 0 {
		remedy = "free addresses, shrink an IPReservation, or add an IPPool"
	}
	return fmt.Sprintf("all %d blocks of %s are in use, %d taken and %d reserved (%s)%s",
		v.pool.Blocks(), v.pool.CIDR, v.taken, reserved, remedy, v.strict())
}

func (v *survey) strict() string {
	if !v.view.Config.StrictAffinity || v.free == 0 {
		return ""
	}
	return fmt.Sprintf("; %d addresses are free in blocks of other nodes, "+
		"but IPAMConfig.strictAffinity forbids borrowing them (set it to false)", v.free)
}
