package ipam

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"calico-cni/pkg/ipam/block"
)

// Held is one allocated address as it was read, and who holds it.
type Held struct {
	block.Holding
	Block netip.Prefix
	// Handle is the holder's, empty in rows of writers that had none.
	Handle string
	Owner  map[string]string
}

// HeldByHandle returns what a handle holds in the blocks that it counts, sorted by address.
func (a *Allocator) HeldByHandle(ctx context.Context, handle string) ([]Held, error) {
	h, err := a.Lookup(ctx, handle)
	if err != nil || !h.found {
		return nil, err
	}
	all, err := a.heldIn(ctx, slices.Collect(maps.Keys(h.row.Value.Counts)))
	return slices.DeleteFunc(all, func(x Held) bool { return !block.SameHandle(x.Handle, handle) }), err
}

// HeldOn returns what anybody holds in the blocks that a node owns, and in more blocks beside them, sorted by address.
// A block that cannot be read keeps no other from being read: its error is joined to the answer.
func (a *Allocator) HeldOn(ctx context.Context, node string, more []netip.Prefix) ([]Held, error) {
	rows, err := a.Store.AffinitiesOf(ctx, node, false)
	if err != nil {
		return nil, err
	}
	cidrs := slices.Clone(more)
	for _, row := range rows {
		cidrs = append(cidrs, row.Key.CIDR)
	}
	return a.heldIn(ctx, cidrs)
}

func (a *Allocator) heldIn(ctx context.Context, cidrs []netip.Prefix) ([]Held, error) {
	slices.SortFunc(cidrs, netip.Prefix.Compare)
	cidrs = slices.Compact(cidrs)
	found, errs := make([][]Held, len(cidrs)), make([]error, len(cidrs)+1)
	// One block that cannot be read keeps no other from being read: the group's context is not used.
	g, _ := a.group(ctx)
	for i, cidr := range cidrs {
		g.Go(func() error {
			row, err := get(ctx, a.Store.Blocks(), cidr)
			if ignore(err, ErrNotFound) != nil {
				errs[i] = fmt.Errorf("read block %s: %w", cidr, err)
			}
			if err == nil {
				found[i] = heldOf(row.Value)
			}
			return nil
		})
	}
	errs[len(cidrs)] = g.Wait()
	return slices.Concat(found...), errors.Join(errs...)
}

func heldOf(b block.Block) []Held {
	var out []Held
	for _, h := range b.HeldBy(func(block.Attribute) bool { return true }) {
		if who, ok := b.Holder(h.Addr); ok {
			out = append(out, Held{Holding: h, Block: b.CIDR, Handle: who.Handle, Owner: who.Owner})
		}
	}
	return out
}

// ReleaseHeld gives back addresses of one handle as they were read some time ago: those that are still held as they were
// then, whether the handle still exists and counts them or not. mine says which owners of the handle are meant, as in
// Release. It returns what it gave back.
func (a *Allocator) ReleaseHeld(ctx context.Context, handle string, held []Held, mine func(owner map[string]string) bool, cooldown time.Duration) ([]netip.Addr, error) {
	h, err := a.Lookup(ctx, handle)
	if err != nil {
		return nil, err
	}
	released, err := a.Release(ctx, h, mine, cooldown)
	if err != nil {
		return released.Addrs, err
	}
	// What the handle did not lead to.
	for _, x := range held {
		if slices.Contains(released.Addrs, x.Addr) {
			continue
		}
		done, err := a.ReleaseHolding(ctx, handle, x.Block, x.Holding, cooldown)
		if err != nil {
			return released.Addrs, err
		}
		if done {
			released.Addrs = append(released.Addrs, x.Addr)
		}
	}
	return released.Addrs, nil
}
