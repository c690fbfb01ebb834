// SPDX-License-Identifier: Apache-2.0

package crdstore

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"calico-cni/pkg/apis/crd/v1/spec"
	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/kubeapi"
)

const (
	// fewNames is the number of objects up to which BlocksOverlapping always looks for each name.
	fewNames = 16
	// listedPerGet is the number of names that the API server lists at the cost of one GET
	// (docs/decisions/0030-blocks-do-not-overlap.md).
	listedPerGet = 16
	// maxParallelGets bounds the number of GETs at the same time.
	maxParallelGets = 32
	// minPage and maxPage bound the page size of a list.
	minPage, maxPage = 500, 10000
)

// overlapReader reads which blocks overlap a CIDR. counted is the number of blocks of the cluster when they were last
// counted, plus one, and 0 before. It only decides how to read.
type overlapReader struct {
	blocks  kubeapi.Objects[spec.IPAMBlock]
	counted atomic.Int64
	// pageSize is the page size of lists. 0 chooses it by the number of blocks.
	pageSize int
}

// SetPageSize sets how many names of blocks one request lists. 0, the default, chooses it by the number of blocks.
func (s *Store) SetPageSize(names int) { s.overlaps.pageSize = names }

// BlocksOverlapping implements ipam.Store. There are few block sizes, so the names of all objects that can overlap a
// CIDR are known. If these are few compared with the blocks of the cluster, it looks for each of them; else it lists
// the names of all blocks. Both are exact.
func (s *Store) BlocksOverlapping(ctx context.Context, cidr netip.Prefix) ([]netip.Prefix, error) {
	return s.overlaps.read(ctx, cidr)
}

func (r *overlapReader) read(ctx context.Context, cidr netip.Prefix) ([]netip.Prefix, error) {
	names := countOverlapping(cidr)
	if names <= fewNames {
		return r.byName(ctx, cidr)
	}
	total := int(r.counted.Load()) - 1
	if total < 0 {
		page, err := r.blocks.Names(ctx, 1, "")
		if err != nil {
			return nil, translate(err)
		}
		total = len(page.Names) + page.Remaining
	}
	if total > names*listedPerGet {
		return r.byName(ctx, cidr)
	}
	return r.byList(ctx, cidr, total)
}

// count counts the blocks, once. If that fails, read counts them.
func (r *overlapReader) count(ctx context.Context) {
	if r.counted.Load() > 0 {
		return
	}
	if page, err := r.blocks.Names(ctx, 1, ""); err == nil {
		r.counted.Store(int64(len(page.Names)+page.Remaining) + 1)
	}
}

func (r *overlapReader) byName(ctx context.Context, cidr netip.Prefix) ([]netip.Prefix, error) {
	cidrs := allOverlapping(cidr)
	exists := make([]bool, len(cidrs))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(maxParallelGets)
	for i, other := range cidrs {
		g.Go(func() (err error) {
			exists[i], err = r.blocks.Exists(ctx, spec.BlockName(other))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, translate(err)
	}
	var found []netip.Prefix
	for i, other := range cidrs {
		if exists[i] {
			found = append(found, other)
		}
	}
	slices.SortFunc(found, netip.Prefix.Compare)
	return found, nil
}

func (r *overlapReader) byList(ctx context.Context, cidr netip.Prefix, total int) ([]netip.Prefix, error) {
	var found []netip.Prefix
	// The page has room for some blocks that were created since the count.
	limit := cmp.Or(r.pageSize, min(max(total+total/8, minPage), maxPage))
	total = 0
	for next := ""; ; {
		page, err := r.blocks.Names(ctx, limit, next)
		if err != nil {
			return nil, translate(err)
		}
		total += len(page.Names)
		for _, name := range page.Names {
			if other, ok := cidrOf(name); ok && other.Overlaps(cidr) {
				found = append(found, other)
			}
		}
		if next = page.Continue; next == "" {
			r.counted.Store(int64(total) + 1)
			slices.SortFunc(found, netip.Prefix.Compare)
			return found, nil
		}
	}
}

// countOverlapping returns the number of blocks that can overlap a CIDR, including the CIDR itself. Large results are
// not exact.
func countOverlapping(cidr netip.Prefix) int {
	longest := cidr.Addr().BitLen()
	larger := max(0, min(cidr.Bits(), longest)-(longest-block.MaxBits))
	const most = 30
	return larger + 1<<min(longest-cidr.Bits()+1, most) - 1
}

// allOverlapping returns the blocks that can overlap a CIDR. The CIDR must not be larger than a block.
func allOverlapping(cidr netip.Prefix) []netip.Prefix {
	longest := cidr.Addr().BitLen()
	var out []netip.Prefix
	for bits := longest - block.MaxBits; bits < cidr.Bits(); bits++ {
		out = append(out, netip.PrefixFrom(cidr.Addr(), bits).Masked())
	}
	for bits := max(cidr.Bits(), longest-block.MaxBits); bits <= longest; bits++ {
		for i := range 1 << (bits - cidr.Bits()) {
			out = append(out, netip.PrefixFrom(nth(cidr.Addr(), i<<(longest-bits)), bits))
		}
	}
	return out
}

// nth returns the address n after the first one of a block.
func nth(first netip.Addr, n int) netip.Addr {
	bytes := first.AsSlice()
	for i := len(bytes) - 1; n > 0; i-- {
		bytes[i] |= byte(n)
		n >>= 8
	}
	addr, _ := netip.AddrFromSlice(bytes)
	return addr
}

// cidrOf is the inverse of spec.BlockName. It returns false if no block has the name.
func cidrOf(name string) (netip.Prefix, bool) {
	i := strings.LastIndexByte(name, '-')
	if i < 0 {
		return netip.Prefix{}, false
	}
	bits, err := strconv.Atoi(name[i+1:])
	if err != nil {
		return netip.Prefix{}, false
	}
	addr, err := netip.ParseAddr(strings.ReplaceAll(name[:i], "-", "."))
	if err != nil {
		addr, err = netip.ParseAddr(strings.ReplaceAll(name[:i], "-", ":"))
	}
	cidr := netip.PrefixFrom(addr, bits)
	return cidr, err == nil && cidr.IsValid() && cidr == cidr.Masked() && spec.BlockName(cidr) == name
}
