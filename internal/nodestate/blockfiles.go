// SPDX-License-Identifier: Apache-2.0

package nodestate

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"calico-cni/internal/atomicfile"
	"calico-cni/internal/safeopen"
)

const (
	blockSuffix = ".block"
	// blockVersion is the format of a block file: "<version> <time since boot in ns>", a newline, and the encoded block.
	blockVersion = "1"
	// maxBlockAge is how long a cached block is used. A write based on an outdated block conflicts, with one exception:
	// after a restore of etcd the API server may assign resource versions a second time. A restore stops the API server,
	// replaces the data of etcd, and starts both again, which takes longer.
	maxBlockAge = 10 * time.Second
	// keepBlocks is when the file of a block is removed: the node may no longer have the block.
	keepBlocks = 24 * time.Hour
)

// BlockFiles are the cached blocks of one cluster on this host. Each node of the host, usually one, has an index: its
// blocks with free addresses, one line each. Each block has a file with the encoded block as the node last wrote it.
//
// Concurrent commands write the same files. Files are replaced atomically, so that a reader gets one complete revision.
// Errors are not returned: a block without a file is read from the API server.
type BlockFiles struct {
	// Dir holds the files. It must not survive a reboot.
	Dir string
	// Cluster identifies the cluster.
	Cluster string
	// Boot is the time since boot.
	Boot func() time.Duration
}

// Read returns an encoded block that was written within the last ten seconds.
func (b BlockFiles) Read(cidr netip.Prefix) (encoded []byte, ok bool) {
	data, err := safeopen.Read(b.path(cidr))
	if err != nil {
		return nil, false
	}
	encoded, age, ok := b.parse(data)
	return encoded, ok && age < maxBlockAge
}

// parse returns the encoded block in a file and its age. It returns false for a file of another version or an earlier
// boot.
func (b BlockFiles) parse(data []byte) (encoded []byte, age time.Duration, ok bool) {
	header, encoded, _ := bytes.Cut(data, []byte("\n"))
	written, ok := bytes.CutPrefix(header, []byte(blockVersion+" "))
	if !ok {
		return nil, 0, false
	}
	at, err := strconv.ParseInt(string(written), 10, 64)
	age = b.Boot() - time.Duration(at)
	return encoded, age, err == nil && age >= 0
}

// Has reports whether a block has a file of any age.
func (b BlockFiles) Has(cidr netip.Prefix) bool {
	_, err := os.Lstat(b.path(cidr))
	return err == nil
}

// Write replaces the file of a block.
func (b BlockFiles) Write(cidr netip.Prefix, encoded []byte) {
	b.replace(b.path(cidr), fmt.Appendf(nil, "%s %d\n%s", blockVersion, int64(b.Boot()), encoded))
}

// Remove removes the file of a block.
func (b BlockFiles) Remove(cidr netip.Prefix) { _ = os.Remove(b.path(cidr)) }

func (b BlockFiles) replace(path string, data []byte) {
	if os.MkdirAll(b.Dir, 0o755) == nil {
		_ = atomicfile.Replace(path, data)
	}
}

func (b BlockFiles) path(cidr netip.Prefix) string {
	return filepath.Join(b.Dir, hash(b.Cluster)[:12]+"_"+cidrName(cidr)+blockSuffix)
}
