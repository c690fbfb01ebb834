// SPDX-License-Identifier: Apache-2.0

package pending

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"calico-cni/internal/jsonfault"
	"calico-cni/internal/nodestate"
	"calico-cni/internal/safeopen"
)

const (
	suffix = ".json"
	// hashed begins the name of a file that does not show its attachment.
	hashed = "sha256@"
	// broken ends the name of a file that held no release.
	broken = ".broken"
	// maxName leaves room for what is put around a name while its file is written or moved aside: NAME_MAX is 255.
	maxName = 200
)

// file is the attachment's file name: its three names with @ between them, which stands in none of them; or, if they
// are not all plain or too long together, a hash, with one @.
func fileName(k nodestate.Key) string {
	name := k.Network + "@" + k.ContainerID + "@" + k.IfName
	if len(name) > maxName || !plain(k.Network) || !plain(k.ContainerID) || !plain(k.IfName) {
		return hash("%q %q %q", k.Network, k.ContainerID, k.IfName)
	}
	return name + suffix
}

// fileBeside is the file name of a release while one of its attachment waits for another API server.
func (r Release) fileBeside() string {
	return hash("%q %q %q of %q %q", r.Network, r.ContainerID, r.IfName, r.Kubeconfig, r.APIRoot)
}

func hash(format string, parts ...any) string {
	sum := sha256.Sum256(fmt.Appendf(nil, format, parts...))
	return hashed + hex.EncodeToString(sum[:]) + suffix
}

// plain reports whether s is a name as the CNI specification has it for networks and containers: a letter or digit,
// then these and _.- too.
func plain(s string) bool {
	for i := range len(s) {
		c := s[i]
		alphanumeric := '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !alphanumeric && (i == 0 || c != '_' && c != '.' && c != '-') {
			return false
		}
	}
	return s != ""
}

// entry is a release as it was read: the bytes tell whether its file is still the same.
type entry struct {
	Release
	name string
	data []byte
}

// load reads a file. It returns nil when there is none any more. One that holds no release is moved aside, and is an
// error. One of a later version of the plugins stays, and is an error that wraps ErrVersion.
func (q Queue) load(name string) (*entry, error) {
	data, err := safeopen.Read(q.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read queued release: %w", err)
	}
	e := &entry{name: name, data: data}
	err = jsonfault.Unmarshal(data, &e.Release)
	if err == nil && e.Version > version {
		return nil, fmt.Errorf("read queued release %s: %w: version %d, want %d at most; the release waits until the "+
			"plugins of the version "+
			"that wrote it are installed", q.path(name), ErrVersion, e.Version, version)
	}
	if err == nil && (e.Network == "" || e.ContainerID == "") {
		err = errors.New("it names no network or no container")
	}
	if err != nil {
		aside := q.path(name) + broken
		moved := q.ifUnchanged(e, func(path string) error { return os.Rename(path, aside) })
		return nil, errors.Join(moved, fmt.Errorf("read queued release %s: %w; the file is kept as %s, and its addresses "+
			"are left to the garbage collector", q.path(name), err, aside))
	}
	return e, nil
}

// drop removes the file of a release that was settled. It needs no fsync: should the file be there again after a power
// failure, the release is settled once more.
func (q Queue) drop(e *entry) error {
	return q.ifUnchanged(e, os.Remove)
}

// ifUnchanged does something to the entry's file, unless it was replaced since it was read: that is a newer release,
// which waits for its own turn.
func (q Queue) ifUnchanged(e *entry, do func(path string) error) error {
	unlock, err := q.lockFiles()
	if err != nil {
		return err
	}
	defer unlock()
	switch data, err := safeopen.Read(q.path(e.name)); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !bytes.Equal(data, e.data):
		return nil
	}
	return do(q.path(e.name))
}
