package ipam

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"calico-cni/pkg/ipam/block"
)

// Holder is a handle as it was looked up, or the fact that there is none.
type Holder struct {
	id    string
	found bool
	row   Row[Handle]
}

// Lookup reads a handle. That there is none is an answer, not an error; so is one whose ID differs in case alone: the store
// may give both the same name, but it is another's.
func (a *Allocator) Lookup(ctx context.Context, handle string) (Holder, error) {
	row, err := get(ctx, a.Store.Handles(), handle)
	if errors.Is(err, ErrNotFound) || err == nil && !block.SameHandle(row.Value.ID, handle) {
		return Holder{id: handle}, nil
	}
	return Holder{id: handle, found: err == nil, row: row}, err
}

// Found reports whether there was such a handle.
func (h Holder) Found() bool { return h.found }

// Released is what a release gave back.
type Released struct {
	// Addrs are the addresses, sorted.
	Addrs []netip.Addr
	// Emptied are the claims on blocks that hold nothing any more.
	Emptied []AffinityKey
	// Deleted says that the handle existed and this release has deleted it.
	Deleted bool
	// counts is how many addresses were released from each block; kept says that others hold some by the same handle.
	counts map[netip.Prefix]int
	kept   bool
}

// Release gives back everything that a handle holds and deletes the handle. A handle that does not exist holds nothing,
// which is a success. A released address rests for cooldown.
//
// mine says which owners are meant. A handle that somebody else holds addresses by as well stays, and they keep them; nil
// means that all are meant.
func (a *Allocator) Release(ctx context.Context, h Holder, mine func(owner map[string]string) bool, cooldown time.Duration) (Released, error) {
	var released Released
	match := func(o block.Attribute) bool {
		return block.SameHandle(o.Handle, h.id) && (mine == nil || mine(o.Owner))
	}
	err := a.retry(ctx, "release handle "+h.id, func() error {
		if !h.found {
			return nil
		}
		freed, err := a.releaseAll(ctx, h.id, h.row.Value, match, cooldown)
		released.Addrs = append(released.Addrs, freed.Addrs...)
		released.Emptied = append(released.Emptied, freed.Emptied...)
		if err != nil {
			return err
		}
		if freed.kept {
			_, err = a.countDown(ctx, h.id, h.row, freed.counts)
			return err
		}
		// Whatever the handle still counts, its blocks no longer hold. If somebody counted up since, this conflicts.
		err = remove(ctx, a.Store.Handles(), h.id, h.row)
		if !errors.Is(err, ErrConflict) {
			released.Deleted = err == nil
			return err
		}
		if h, err = a.Lookup(ctx, h.id); err != nil {
			return err
		}
		return ErrConflict
	})
	return released, err
}

// releaseAll releases from every block that the handle counts, side by side.
func (a *Allocator) releaseAll(ctx context.Context, handle string, h Handle, match func(block.Attribute) bool, cooldown time.Duration) (Released, error) {
	var (
		mu    sync.Mutex
		freed Released
	)
	// One block that cannot be written keeps no other from being released: the group's context is not used.
	g, _ := a.group(ctx)
	freed.counts = map[netip.Prefix]int{}
	for _, cidr := range slices.SortedFunc(maps.Keys(h.Counts), netip.Prefix.Compare) {
		g.Go(func() error {
			from, err := a.releaseFrom(ctx, cidr, handle, match, h.Counts[cidr], cooldown)
			if err != nil {
				return fmt.Errorf("release handle %s from block %s: %w", handle, cidr, err)
			}
			mu.Lock()
			defer mu.Unlock()
			freed.Addrs = append(freed.Addrs, from.Addrs...)
			freed.Emptied = append(freed.Emptied, from.Emptied...)
			freed.counts[cidr], freed.kept = len(from.Addrs), freed.kept || from.kept
			return nil
		})
	}
	err := g.Wait()
	slices.SortFunc(freed.Addrs, netip.Addr.Compare)
	return freed, err
}

// releaseFrom releases from one block what owners that match hold there. A block that is gone holds nothing. A block
// that no node owns is deleted with its last address.
//
// counted is what the handle counts in the block. When the block holds less, an assignment to the same handle may be on
// its way, between its two writes, or its second write may be in the server's hands though nobody waits for it any more.
// The block is written all the same then: that write conflicts, instead of leaving an address that no handle leads to.
func (a *Allocator) releaseFrom(ctx context.Context, cidr netip.Prefix, handle string, match func(block.Attribute) bool, counted int, cooldown time.Duration) (Released, error) {
	var freed Released
	row, recalled := a.memory().Recall(cidr)
	err := a.retry(ctx, "release from block "+cidr.String(), func() (err error) {
		freed = Released{}
		if !recalled {
			if row, err = get(ctx, a.Store.Blocks(), cidr); err != nil {
				return ignore(err, ErrNotFound)
			}
		}
		guess := recalled
		recalled = false
		b := row.Value.Clone()
		for _, h := range b.HeldBy(match) {
			if b.Release(handle, h, a.Now(), cooldown) {
				freed.Addrs = append(freed.Addrs, h.Addr)
			}
		}
		kept := len(b.Held(handle))
		freed.kept = kept > 0
		if len(freed.Addrs) == 0 && guess {
			// That there is nothing to release is only believed of the store.
			return ErrConflict
		}
		if len(freed.Addrs) == 0 && kept >= counted {
			return nil
		}
		b.Thaw(a.Now(), cooldown)
		if node, owned := strings.CutPrefix(b.Affinity, hostPrefix); owned && b.Empty() {
			freed.Emptied = []AffinityKey{{node, cidr}}
		}
		return a.putBlock(ctx, cidr, Row[block.Block]{Value: b, Rev: row.Rev})
	})
	return freed, err
}

// ReleaseHolding gives back one address of a handle, provided that it is still held as the holding says: by that handle,
// and allocated at that sequence number. It reports whether it did. This is for whoever decided on what it read some
// time ago, as a collector of leaks does. The handle is counted down after.
func (a *Allocator) ReleaseHolding(ctx context.Context, handle string, cidr netip.Prefix, h block.Holding, cooldown time.Duration) (bool, error) {
	holder, err := a.Lookup(ctx, handle)
	if err != nil {
		return false, err
	}
	released := false
	err = a.retry(ctx, "release "+h.Addr.String(), func() error {
		row, err := get(ctx, a.Store.Blocks(), cidr)
		if err != nil {
			return ignore(err, ErrNotFound)
		}
		b := row.Value.Clone()
		if !b.Release(handle, h, a.Now(), cooldown) {
			return nil
		}
		err = a.putBlock(ctx, cidr, Row[block.Block]{Value: b, Rev: row.Rev})
		released = err == nil
		return err
	})
	if err != nil || !released || !holder.found {
		return released, err
	}
	_, err = a.countDown(ctx, handle, holder.row, map[netip.Prefix]int{cidr: 1})
	return true, err
}

// putBlock writes a block back after a release, or deletes it when it is empty and nobody owns it.
func (a *Allocator) putBlock(ctx context.Context, cidr netip.Prefix, row Row[block.Block]) error {
	row.Value.Sequence++
	if row.Value.Affinity == "" && row.Value.Empty() {
		return remove(ctx, a.Store.Blocks(), cidr, row)
	}
	written, err := a.Store.Blocks().Update(ctx, cidr, row)
	switch {
	case err == nil:
		a.memory().Renew(cidr, written)
	case errors.Is(err, ErrNotFound):
		a.memory().Forget(cidr)
		return ErrConflict
	}
	return err
}
