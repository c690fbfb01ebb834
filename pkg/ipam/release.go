// SPDX-License-Identifier: Apache-2.0

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

// Released is the result of a release.
type Released struct {
	// Addrs are the released addresses, sorted.
	Addrs []netip.Addr
	// Emptied are the affinities for blocks that have no allocated addresses any more.
	Emptied []AffinityKey
	// Deleted says that the handle existed and this release has deleted it.
	Deleted bool
}

// freed is the result of a release from some blocks.
type freed struct {
	addrs   []netip.Addr
	emptied []AffinityKey
	// counts is the number of addresses per block. kept says that other owners hold addresses under the same handle.
	counts map[netip.Prefix]int
	kept   bool
}

// releases releases addresses.
type releases struct {
	backend backend
	handles handles
}

func newReleases(b backend) releases { return releases{b, handles{b}} }

func (r releases) release(
	ctx context.Context, h Holder, mine func(owner map[string]string) bool, cooldown time.Duration,
) (Released, error) {
	var released Released
	which := addrsOf{handle: h.id, cooldown: cooldown, match: func(o block.Attribute) bool {
		return block.SameHandle(o.Handle, h.id) && (mine == nil || mine(o.Owner))
	}}
	err := r.backend.retry(ctx, "release handle "+h.id, func() error {
		if !h.found {
			return nil
		}
		done, err := r.releaseAll(ctx, which, h.row.Value)
		released.Addrs = append(released.Addrs, done.addrs...)
		released.Emptied = append(released.Emptied, done.emptied...)
		if err != nil {
			return err
		}
		if done.kept {
			return r.handles.countDown(ctx, h.id, h.row, done.counts)
		}
		// No block holds an address of the handle any more, even if the handle counts some. If an assignment has counted
		// up since, the deletion meets a conflict.
		err = remove(ctx, r.backend.store.Handles(), h.id, h.row)
		if !errors.Is(err, ErrConflict) {
			released.Deleted = err == nil
			return err
		}
		if h, err = r.handles.lookup(ctx, h.id); err != nil {
			return err
		}
		return ErrConflict
	})
	return released, err
}

// addrsOf selects addresses to release: those under a handle whose owners match. cooldown is that of these addresses.
type addrsOf struct {
	handle   string
	match    func(block.Attribute) bool
	cooldown time.Duration
}

// releaseAll releases addresses from all blocks that the handle counts, at the same time.
func (r releases) releaseAll(ctx context.Context, which addrsOf, h Handle) (freed, error) {
	var (
		mu  sync.Mutex
		all = freed{counts: map[netip.Prefix]int{}}
	)
	// The context of the group is not used: a block that cannot be written does not cancel the others.
	g, _ := r.backend.group(ctx)
	for _, cidr := range slices.SortedFunc(maps.Keys(h.Counts), netip.Prefix.Compare) {
		g.Go(func() error {
			one, err := r.releaseFrom(ctx, cidr, which, h.Counts[cidr])
			if err != nil {
				return fmt.Errorf("release handle %s from block %s: %w", which.handle, cidr, err)
			}
			mu.Lock()
			defer mu.Unlock()
			all.addrs = append(all.addrs, one.addrs...)
			all.emptied = append(all.emptied, one.emptied...)
			all.counts[cidr], all.kept = len(one.addrs), all.kept || one.kept
			return nil
		})
	}
	err := g.Wait()
	slices.SortFunc(all.addrs, netip.Addr.Compare)
	return all, err
}

// releaseFrom releases addresses from one block. A block that does not exist is a success. A block without an owner
// is deleted with its last address.
//
// counted is the number of addresses that the handle counts in the block. If the block has fewer, an assignment to the
// same handle may be between its two writes, or its second write may still reach the server after the process has
// ended. The block is then written even if nothing is released, so that this second write conflicts. Otherwise it would
// allocate an address that no handle leads to.
func (r releases) releaseFrom(ctx context.Context, cidr netip.Prefix, which addrsOf, counted int) (freed, error) {
	var out freed
	row, cached := r.backend.cache.Get(cidr)
	err := r.backend.retry(ctx, "release from block "+cidr.String(), func() (err error) {
		out = freed{}
		fromCache := cached
		if !fromCache {
			if row, err = get(ctx, r.backend.store.Blocks(), cidr); err != nil {
				return ignore(err, ErrNotFound)
			}
		}
		cached = false
		b := row.Value.Clone()
		for _, h := range b.HeldBy(which.match) {
			if b.Release(which.handle, h, r.backend.now(), which.cooldown) {
				out.addrs = append(out.addrs, h.Addr)
			}
		}
		kept := len(b.Held(which.handle))
		out.kept = kept > 0
		if len(out.addrs) == 0 && fromCache {
			// A cached block may be stale. Read it from the store before concluding that there is nothing to release.
			return ErrConflict
		}
		if len(out.addrs) == 0 && kept >= counted {
			return nil
		}
		b.Thaw(r.backend.now(), r.backend.cooldown)
		if node, owned := strings.CutPrefix(b.Affinity, hostPrefix); owned && r.backend.empty(b) {
			out.emptied = []AffinityKey{{node, cidr}}
		}
		return r.putBlock(ctx, cidr, Row[block.Block]{Value: b, Rev: row.Rev})
	})
	return out, err
}

// putBlock writes a block after a release, or deletes it if it is empty and has no owner.
func (r releases) putBlock(ctx context.Context, cidr netip.Prefix, row Row[block.Block]) error {
	row.Value.Sequence++
	if row.Value.Affinity == "" && r.backend.empty(row.Value) {
		return remove(ctx, r.backend.store.Blocks(), cidr, row)
	}
	written, err := r.backend.store.Blocks().Update(ctx, cidr, row)
	switch {
	case err == nil:
		r.backend.cache.Replace(cidr, written)
	case errors.Is(err, ErrNotFound):
		r.backend.cache.Delete(cidr)
		return ErrConflict
	}
	return err
}
