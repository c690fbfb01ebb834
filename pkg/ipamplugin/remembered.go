package ipamplugin

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
)

// remembered is a directory in which a node remembers its blocks (ipam.Memory). It has a file for each node of this
// host, mostly one, with the block of each family in which that found room last, a line each; and a file for each block,
// with the block as the node last wrote it. What cannot be remembered is looked up.
//
// The files are written in place, by ADDs and DELs at once: a block's begins with a line that sums up the rest, so that what is
// torn, or of two writers, is not believed; and what is old meets a conflict.
type remembered struct {
	dir string
	// node is whose blocks these are; a release need not know.
	node   string
	blocks blockCodec
	now    func() time.Time
}

// blockCodec turns a row of a block into bytes and back.
type blockCodec interface {
	EncodeBlock(row ipam.Row[block.Block]) ([]byte, error)
	DecodeBlock(data []byte) (ipam.Row[block.Block], error)
}

const blockSuffix = ".block"

// longUnused is after how long the file of a block is taken away: the node may not have it any more.
const longUnused = 24 * time.Hour

// Roomy implements ipam.Memory.
func (r remembered) Roomy() (cidrs []netip.Prefix) {
	data, err := os.ReadFile(r.index())
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(data)) {
		if cidr, err := netip.ParsePrefix(strings.TrimSuffix(line, "\n")); err == nil {
			cidrs = append(cidrs, cidr)
		}
	}
	return cidrs
}

// forAll returns the block of each family that is wanted, or none if it does not have them all.
func (r remembered) forAll(wants []ipam.Want) (cidrs []netip.Prefix) {
	roomy := r.Roomy()
	for _, w := range wants {
		i := slices.IndexFunc(roomy, func(cidr netip.Prefix) bool { return cidr.Addr().Is6() == w.IPv6 })
		if i < 0 {
			return nil
		}
		cidrs = append(cidrs, roomy[i])
	}
	return cidrs
}

// update remembers the blocks of an assignment instead of those of their families. One that has no more to give, or is
// another node's, is not worth it.
func (r remembered) update(assigned []ipam.Assigned) {
	before := r.Roomy()
	now := slices.DeleteFunc(slices.Clone(before), func(cidr netip.Prefix) bool {
		return slices.ContainsFunc(assigned, func(a ipam.Assigned) bool { return a.Block.Addr().Is6() == cidr.Addr().Is6() })
	})
	for _, got := range assigned {
		if !got.Last && !got.Borrowed && !got.Again {
			now = append(now, got.Block)
		}
	}
	slices.SortFunc(now, netip.Prefix.Compare)
	if slices.Equal(now, before) || os.MkdirAll(r.dir, 0o755) != nil {
		return
	}
	var text strings.Builder
	for _, cidr := range now {
		text.WriteString(cidr.String() + "\n")
	}
	_ = os.WriteFile(r.index(), []byte(text.String()), 0o644)
	r.sweep()
}

// Recall implements ipam.Memory.
func (r remembered) Recall(cidr netip.Prefix) (ipam.Row[block.Block], bool) {
	data, err := os.ReadFile(r.path(cidr))
	if err != nil {
		return ipam.Row[block.Block]{}, false
	}
	sum, data, _ := bytes.Cut(data, []byte("\n"))
	if string(sum) != sumOf(data) {
		return ipam.Row[block.Block]{}, false
	}
	row, err := r.blocks.DecodeBlock(data)
	return row, err == nil && !row.Deleted && row.Value.CIDR == cidr
}

// Keep implements ipam.Memory.
func (r remembered) Keep(cidr netip.Prefix, row ipam.Row[block.Block]) {
	if os.MkdirAll(r.dir, 0o755) == nil {
		r.write(cidr, row, os.O_CREATE)
	}
}

// Renew implements ipam.Memory.
func (r remembered) Renew(cidr netip.Prefix, row ipam.Row[block.Block]) { r.write(cidr, row, 0) }

func (r remembered) write(cidr netip.Prefix, row ipam.Row[block.Block], create int) {
	file, err := os.OpenFile(r.path(cidr), os.O_WRONLY|os.O_TRUNC|create, 0o600)
	if err != nil {
		return
	}
	defer func() { _ = file.Close() }()
	if data, err := r.blocks.EncodeBlock(row); err == nil {
		_, _ = file.Write(append([]byte(sumOf(data)+"\n"), data...))
	}
}

func sumOf(data []byte) string {
	sum := sha1.Sum(data)
	return hex.EncodeToString(sum[:])
}

// Forget implements ipam.Memory.
func (r remembered) Forget(cidr netip.Prefix) { _ = os.Remove(r.path(cidr)) }

// sweep takes away what was not written for long.
func (r remembered) sweep() {
	entries, _ := os.ReadDir(r.dir)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && strings.HasSuffix(e.Name(), blockSuffix) && r.now().Sub(info.ModTime()) > longUnused {
			_ = os.Remove(filepath.Join(r.dir, e.Name()))
		}
	}
}

// index is named by a hash, for a node's name may have what a file's may not.
func (r remembered) index() string {
	return filepath.Join(r.dir, sumOf([]byte(r.node)))
}

func (r remembered) path(cidr netip.Prefix) string {
	return filepath.Join(r.dir, strings.Replace(cidr.String(), "/", "_", 1)+blockSuffix)
}
