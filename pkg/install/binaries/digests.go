// SPDX-License-Identifier: Apache-2.0

package binaries

import (
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"calico-cni/internal/atomicfile"
	"calico-cni/internal/safeopen"
	"calico-cni/pkg/install/hostfile"
)

// mode is the mode of installed binaries.
const mode fs.FileMode = 0o755

// digests caches the content of files on the host, so that a file is read again only after it has changed.
type digests struct {
	now func() time.Time
	// equal has the stamps of files that were equal to the binary of the image, by path.
	equal map[string]hostfile.Stamp
	// sums has the digests of other files, by path.
	sums map[string]stampedSum
}

// stampedSum is the digest of a file at the time of its stamp.
type stampedSum struct {
	of  hostfile.Stamp
	sum [32]byte
}

func newDigests(now func() time.Time) *digests {
	return &digests{now: now, equal: map[string]hostfile.Stamp{}, sums: map[string]stampedSum{}}
}

// wasEqual reports whether the file was equal to the binary of the image when it was last read.
func (d *digests) wasEqual(path string) bool {
	_, equal := d.equal[path]
	return equal
}

// holds reports whether a file has the content of a binary and an acceptable mode.
func (d *digests) holds(path string, b binary) (bool, error) {
	if known, ok := d.equal[path]; ok && known == hostfile.StampOf(path) {
		return true, nil
	}
	if known, ok := d.sums[path]; ok && known.of == hostfile.StampOf(path) && known.sum != b.sum {
		return false, nil
	}
	source, err := safeopen.Regular(b.path)
	if err != nil {
		return false, err
	}
	defer func() { _ = source.Close() }()
	// The stamp is taken before the read, so that it differs after a change in between.
	stamp := hostfile.StampOf(path)
	same, err := atomicfile.Holds(path, source, acceptableMode(path))
	if same && stamp.Settled(d.now()) {
		d.equal[path] = stamp
	}
	return same, err
}

// sum returns the digest of a file.
func (d *digests) sum(path string) ([32]byte, error) {
	stamp := hostfile.StampOf(path)
	if known, ok := d.sums[path]; ok && known.of == stamp {
		return known.sum, nil
	}
	got, err := hostfile.SHA256(path)
	if err == nil && stamp.Settled(d.now()) {
		d.sums[path] = stampedSum{stamp, got}
	}
	return got, err
}

// acceptableMode returns the mode that a binary must have. In a read-only directory, such as that of a node image, any
// mode is acceptable that lets all users execute the binary.
func acceptableMode(path string) fs.FileMode {
	info, err := os.Lstat(path)
	if err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 == 0o111 &&
		hostfile.Writable(filepath.Dir(path)) != nil {
		return info.Mode()
	}
	return mode
}
