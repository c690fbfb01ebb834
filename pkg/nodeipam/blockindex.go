// SPDX-License-Identifier: Apache-2.0

package nodeipam

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"calico-cni/internal/safeopen"
	"calico-cni/pkg/ipam"
)

// verifyAfter is how long an ADD uses a block of the index before one reads the affinity of the block again. A process
// that was killed may have left the affinity unconfirmed, and then the pods of the block have no routes. The read is one
// more request, and no additional round.
const verifyAfter = 5 * time.Minute

// blockIndex is the file of a node in the block cache. It has the block of each family in which the node last found
// room, and for each the time since boot at which an ADD last read its affinity. Older plugins skip the lines with the
// times.
type blockIndex struct {
	blocks   []netip.Prefix
	verified map[netip.Prefix]time.Duration
}

func (r blockCache) readIndex() blockIndex {
	x := blockIndex{verified: map[netip.Prefix]time.Duration{}}
	data, err := safeopen.Read(r.index())
	if err != nil {
		return x
	}
	text, known := strings.CutPrefix(string(data), indexHead+"\n")
	if !known {
		return x
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		var at int64
		var name string
		if _, err := fmt.Sscanf(line, "verified %s %d", &name, &at); err == nil {
			if cidr, err := netip.ParsePrefix(name); err == nil {
				x.verified[cidr] = time.Duration(at)
			}
		} else if cidr, err := netip.ParsePrefix(line); err == nil {
			x.blocks = append(x.blocks, cidr)
		}
	}
	return x
}

func (x blockIndex) String() string {
	var text strings.Builder
	text.WriteString(indexHead + "\n")
	for _, cidr := range x.blocks {
		text.WriteString(cidr.String() + "\n")
	}
	for _, cidr := range x.blocks {
		if at, ok := x.verified[cidr]; ok {
			fmt.Fprintf(&text, "verified %s %d\n", cidr, int64(at))
		}
	}
	return text.String()
}

// WithRoom implements ipam.BlockCache.
func (r blockCache) WithRoom() []netip.Prefix { return r.readIndex().blocks }

// forAll returns the block of each wanted family, or none if the index does not have them all. verify says that the
// affinity of one of them has to be read.
func (r blockCache) forAll(wants []ipam.Want) (cidrs []netip.Prefix, verify bool) {
	x, now := r.readIndex(), r.boot()
	for _, w := range wants {
		i := slices.IndexFunc(x.blocks, func(cidr netip.Prefix) bool { return cidr.Addr().Is6() == w.IPv6 })
		if i < 0 {
			return nil, false
		}
		at, ok := x.verified[x.blocks[i]]
		cidrs, verify = append(cidrs, x.blocks[i]), verify || !ok || at > now || now-at >= verifyAfter
	}
	return cidrs, verify
}

// update replaces the blocks of the assigned families by those of an assignment. It leaves out a block that has no more
// free addresses, or belongs to another node. verified says of which blocks the assignment has read the affinity.
func (r blockCache) update(assigned []ipam.Assigned, verified func(cidr netip.Prefix) bool) {
	before := r.readIndex()
	now := blockIndex{verified: maps.Clone(before.verified)}
	now.blocks = slices.DeleteFunc(slices.Clone(before.blocks), func(cidr netip.Prefix) bool {
		return slices.ContainsFunc(assigned, func(a ipam.Assigned) bool { return a.Block.Addr().Is6() == cidr.Addr().Is6() })
	})
	for _, got := range assigned {
		if got.Last || got.Borrowed || got.Existing {
			continue
		}
		now.blocks = append(now.blocks, got.Block)
		if verified(got.Block) {
			now.verified[got.Block] = r.boot()
		}
	}
	slices.SortFunc(now.blocks, netip.Prefix.Compare)
	if now.String() == before.String() || os.MkdirAll(r.dir, 0o755) != nil {
		return
	}
	_ = safeopen.WriteFile(r.index(), []byte(now.String()), 0o644)
	r.sweep()
}
