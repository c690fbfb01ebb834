// SPDX-License-Identifier: Apache-2.0

package nodestate

import (
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"calico-cni/internal/safeopen"
)

const (
	indexSuffix = ".blocks"
	// indexHeader is the first line of the index of a node, and contains its version.
	indexHeader = "# calico-cni blocks with room, version 1"
	// verifyAfter is how long an indexed block is used before its affinity is read again. A process that was killed may
	// have left the affinity unconfirmed, and then the pods of the block have no routes.
	verifyAfter = 5 * time.Minute
)

// blockIndex is the index of a node: a line for each block, with verified if known. verified is the time since boot, in
// nanoseconds, at which the affinity of the block was last read.
type blockIndex struct {
	cidrs    []netip.Prefix
	verified map[netip.Prefix]time.Duration
}

// WithRoom returns the index of a node.
func (b BlockFiles) WithRoom(node string) []netip.Prefix { return b.readIndex(node).cidrs }

// MustVerify reports whether the affinity of an indexed block was not read recently.
func (b BlockFiles) MustVerify(node string, cidr netip.Prefix) bool {
	at, ok := b.readIndex(node).verified[cidr]
	age := b.Boot() - at
	return !ok || age < 0 || age >= verifyAfter
}

// SetWithRoom replaces the index of a node if it differs, and removes old block files.
// The affinities of verified were read just now.
func (b BlockFiles) SetWithRoom(node string, cidrs []netip.Prefix, verified ...netip.Prefix) {
	before := b.readIndex(node)
	now := blockIndex{
		cidrs: slices.SortedFunc(slices.Values(cidrs), netip.Prefix.Compare), verified: maps.Clone(before.verified),
	}
	for _, cidr := range verified {
		now.verified[cidr] = b.Boot()
	}
	if now.String() == before.String() {
		return
	}
	b.replace(b.index(node), []byte(now.String()))
	b.removeOld()
}

func (b BlockFiles) readIndex(node string) blockIndex {
	x := blockIndex{verified: map[netip.Prefix]time.Duration{}}
	data, err := safeopen.Read(b.index(node))
	if err != nil {
		return x
	}
	text, known := strings.CutPrefix(string(data), indexHeader+"\n")
	if !known {
		return x
	}
	for line := range strings.Lines(text) {
		name, verified, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		cidr, err := netip.ParsePrefix(name)
		if err != nil {
			continue
		}
		x.cidrs = append(x.cidrs, cidr)
		if at, err := strconv.ParseInt(verified, 10, 64); err == nil {
			x.verified[cidr] = time.Duration(at)
		}
	}
	return x
}

func (x blockIndex) String() string {
	var text strings.Builder
	text.WriteString(indexHeader + "\n")
	for _, cidr := range x.cidrs {
		text.WriteString(cidr.String())
		if at, ok := x.verified[cidr]; ok {
			fmt.Fprintf(&text, " %d", int64(at))
		}
		text.WriteString("\n")
	}
	return text.String()
}

// index returns the path of a node's index. The name is a hash, because a node name may contain any character.
func (b BlockFiles) index(node string) string {
	return filepath.Join(b.Dir, hash(b.Cluster+"\n"+node)+indexSuffix)
}
