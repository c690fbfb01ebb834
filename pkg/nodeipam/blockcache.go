// SPDX-License-Identifier: Apache-2.0

package nodeipam

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"calico-cni/internal/safeopen"
	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
)

// blockCache is a directory with the blocks of a node (ipam.BlockCache). It has a file for each node of this
// host, mostly one, with the block of each family in which the node found room last, a line each; and a file for each
// block, with the block as the node last wrote it. What cannot be stored is read from the API server.
//
// The write of a block that is out of date meets a conflict, with one exception: after a restore of etcd the API server
// may give out resource versions a second time. A block is therefore recalled for a short time only. The files are
// written in place, by ADDs and DELs at once: the first line of a block's file sums up the rest, so that a torn file is
// not believed.
type blockCache struct {
	dir string
	// node is whose blocks these are; a release need not know.
	node string
	// cluster tells the clusters apart that this host has nodes of.
	cluster string
	blocks  blockCodec
	// boot is the time since boot.
	boot func() time.Duration
}

// blockCodec turns a row of a block into bytes and back.
type blockCodec interface {
	EncodeBlock(row ipam.Row[block.Block]) ([]byte, error)
	DecodeBlock(data []byte) (ipam.Row[block.Block], error)
}

const (
	indexSuffix = ".blocks"
	blockSuffix = ".block"
	// indexHead begins the file of a node, and tells its format.
	indexHead = "# calico-cni blocks with room, version 1"
	// blockVersion is the format of a block's file: "<version> <checksum> <time since boot in ns>", a newline, and the
	// block. The checksum is of what follows it. Before versions the first line was a checksum alone.
	blockVersion = "1"
	// recallWithin is for how long a block is recalled. To restore etcd, the API server has to be stopped, etcd's data
	// replaced, and both started: that takes longer. Where pods come faster than this, each ADD saves a read.
	recallWithin = 10 * time.Second
	// keptFor is after how long the file of a block is removed: the node may not have the block any more.
	keptFor = 24 * time.Hour
)

// Get implements ipam.BlockCache.
func (r blockCache) Get(cidr netip.Prefix) (ipam.Row[block.Block], bool) {
	data, err := safeopen.Read(r.path(cidr))
	if err != nil {
		return ipam.Row[block.Block]{}, false
	}
	encoded, age, ok := r.parse(data)
	if !ok || age >= recallWithin {
		return ipam.Row[block.Block]{}, false
	}
	row, err := r.blocks.DecodeBlock(encoded)
	return row, err == nil && !row.Deleted && row.Value.CIDR == cidr
}

// parse returns the encoded block in a file, and how long ago it was written. It returns false for a file that is torn,
// of another version, or from before the host was booted.
func (r blockCache) parse(data []byte) (encoded []byte, age time.Duration, ok bool) {
	rest, ok := bytes.CutPrefix(data, []byte(blockVersion+" "))
	if !ok {
		return nil, 0, false
	}
	sum, rest, _ := bytes.Cut(rest, []byte(" "))
	if string(sum) != sumOf(rest) {
		return nil, 0, false
	}
	written, encoded, _ := bytes.Cut(rest, []byte("\n"))
	at, err := strconv.ParseInt(string(written), 10, 64)
	age = r.boot() - time.Duration(at)
	return encoded, age, err == nil && age >= 0
}

// Put implements ipam.BlockCache.
func (r blockCache) Put(cidr netip.Prefix, row ipam.Row[block.Block]) {
	if os.MkdirAll(r.dir, 0o755) == nil {
		r.write(cidr, row, os.O_CREATE)
	}
}

// Replace implements ipam.BlockCache.
func (r blockCache) Replace(cidr netip.Prefix, row ipam.Row[block.Block]) { r.write(cidr, row, 0) }

func (r blockCache) write(cidr netip.Prefix, row ipam.Row[block.Block], create int) {
	file, _, err := safeopen.File(r.path(cidr), os.O_WRONLY|os.O_TRUNC|create, 0o600)
	if err != nil {
		return
	}
	defer func() { _ = file.Close() }()
	if data, err := r.blocks.EncodeBlock(row); err == nil {
		rest := append(fmt.Appendf(nil, "%d\n", int64(r.boot())), data...)
		_, _ = file.Write(append([]byte(blockVersion+" "+sumOf(rest)+" "), rest...))
	}
}

func sumOf(data []byte) string {
	sum := sha1.Sum(data)
	return hex.EncodeToString(sum[:])
}

// Delete implements ipam.BlockCache.
func (r blockCache) Delete(cidr netip.Prefix) { _ = os.Remove(r.path(cidr)) }

// sweep removes the files of blocks that were not written for long, and those that cannot be read any more.
func (r blockCache) sweep() {
	entries, _ := os.ReadDir(r.dir)
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), blockSuffix) {
			continue
		}
		path := filepath.Join(r.dir, e.Name())
		data, err := safeopen.Read(path)
		if _, age, ok := r.parse(data); err == nil && (!ok || age > keptFor) {
			_ = os.Remove(path)
		}
	}
}

// index is named by a hash, for a node's name may have what a file's may not.
func (r blockCache) index() string {
	return filepath.Join(r.dir, sumOf([]byte(r.cluster+"\n"+r.node))+indexSuffix)
}

func (r blockCache) path(cidr netip.Prefix) string {
	return filepath.Join(r.dir, sumOf([]byte(r.cluster))[:12]+"_"+strings.Replace(cidr.String(), "/", "_", 1)+blockSuffix)
}
