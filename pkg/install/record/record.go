// SPDX-License-Identifier: Apache-2.0

// Package record keeps the record of what was installed on a host, so that uninstall removes these files and no others.
package record

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"calico-cni/internal/jsonfault"
	"calico-cni/internal/safeopen"
)

// Name is the name of the record in the configuration directory. Container runtimes ignore it.
const Name = ".calico-cni.record"

// ErrNewer: a later version wrote the record, in a format that this version cannot read.
var ErrNewer = errors.New("record of a newer format")

// Record lists the files that install wrote. A digest is added before the file is written, and older digests stay, so
// that the record has every file, whenever a writer is killed.
type Record struct {
	// Format is the version of the record's format. Within a format, fields may be added that a reader can ignore.
	Format int `json:"format"`
	// Version of the installer that wrote last.
	Version string `json:"version"`
	// Files has the SHA-256 digests in hex of the written contents, the newest last, by path relative to the host's root.
	// There can be several: installers of several versions may run at the same time, and each may be killed.
	Files map[string][]string `json:"files"`
	// Versions maps the digest of a binary to the version of the installer that wrote it.
	Versions map[string]string `json:"versions,omitempty"`
	// Chained is the list that the plugin was added to, relative to the host's root.
	Chained string `json:"chained,omitempty"`
	// Unchain has lists that the plugin was added to before and must still be removed from.
	Unchain []string `json:"unchain,omitempty"`
}

// currentFormat is the newest format that this version reads, and the one that it writes.
const currentFormat = 1

func empty() Record { return Record{Files: map[string][]string{}, Versions: map[string]string{}} }

// Load reads the record. If there is none or it cannot be read, the result is empty, so that no file counts as
// installed. An error wraps ErrNewer if a later version wrote the record in a format that this version does not
// support.
func Load(path string) (Record, error) {
	data, err := safeopen.ReadRegular(path)
	if errors.Is(err, fs.ErrNotExist) {
		return empty(), nil
	} else if err != nil {
		return empty(), err
	}
	var head struct {
		Format  int    `json:"format"`
		Version string `json:"version"`
	}
	// The other fields may have another meaning in a newer format.
	if json.Unmarshal(data, &head) == nil && head.Format > currentFormat {
		newer := empty()
		newer.Version = head.Version
		return newer, fmt.Errorf("%w: %s is of format %d, and was written by version %s",
			ErrNewer, path, head.Format, head.Version)
	}
	r := empty()
	err = jsonfault.Unmarshal(data, &r)
	if err == nil && r.Format < 1 {
		err = fmt.Errorf("%s names no format", path)
	}
	if err != nil || r.Files == nil {
		return empty(), err
	}
	if r.Versions == nil {
		r.Versions = map[string]string{}
	}
	return r, nil
}

// Owns reports whether install wrote content with this digest to a file, named relative to the host's root.
func (r Record) Owns(name string, sum [32]byte) bool {
	return slices.Contains(r.Files[name], hex.EncodeToString(sum[:]))
}

// enter adds a digest of a file and reports whether it was new.
func (r Record) enter(name string, sum [32]byte) bool {
	if r.Owns(name, sum) {
		return false
	}
	r.Files[name] = append(r.Files[name], hex.EncodeToString(sum[:]))
	return true
}

// maxDigests bounds the digests per file. Fewer installers run at the same time.
const maxDigests = 8

// merge inserts the digests of other installers before our own, and drops the oldest.
func (r Record) merge(others Record) {
	for name, sums := range others.Files {
		own := r.Files[name]
		theirs := slices.DeleteFunc(slices.Clone(sums), func(sum string) bool { return slices.Contains(own, sum) })
		r.Files[name] = slices.Concat(theirs, own)
	}
	for name, sums := range r.Files {
		r.Files[name] = sums[max(0, len(sums)-maxDigests):]
	}
	maps.Copy(r.Versions, others.Versions)
	all := slices.Concat(slices.Collect(maps.Values(r.Files))...)
	maps.DeleteFunc(r.Versions, func(sum, _ string) bool { return !slices.Contains(all, sum) })
}
