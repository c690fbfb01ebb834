// SPDX-License-Identifier: Apache-2.0

package pending

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"calico-cni/internal/jsonfault"
	"calico-cni/internal/safeopen"
)

// entry is a release with the bytes that were read, which show later whether the file has changed.
type entry struct {
	Release
	name string
	data []byte
}

// load reads a file. It returns nil if the file does not exist. It moves a file that contains no release aside and
// returns an error. A file of a newer version stays, and the error wraps ErrVersion.
func (d directory) load(name string) (*entry, error) {
	data, err := safeopen.Read(d.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read queued release: %w", err)
	}
	e := &entry{name: name, data: data}
	err = jsonfault.Unmarshal(data, &e.Release)
	if err == nil && e.Version > version {
		return nil, fmt.Errorf("read queued release: %w: %s has version %d, want %d at most; install the plugins "+
			"of the version that wrote it, which settle the release", ErrVersion, d.path(name), e.Version, version)
	}
	if err == nil && (e.Version < 1 || e.Network == "" || e.ContainerID == "") {
		err = errors.New("it names no version, no network or no container")
	}
	if err != nil {
		aside := d.path(name) + brokenSuffix
		moved := d.ifUnchanged(e, func(path string) error { return os.Rename(path, aside) })
		return nil, errors.Join(moved, fmt.Errorf("read queued release %s: %w; the file is kept as %s, and its addresses "+
			"are left to the garbage collector", d.path(name), err, aside))
	}
	return e, nil
}

// remove removes the file of a settled release. It needs no fsync: if the file exists again after a power failure, the
// release is settled once more.
func (d directory) remove(e *entry) error { return d.ifUnchanged(e, os.Remove) }

// ifUnchanged calls do with the path of the entry, unless a newer release has replaced the file since it was read.
func (d directory) ifUnchanged(e *entry, do func(path string) error) error {
	unlock, err := d.lock()
	if err != nil {
		return err
	}
	defer unlock()
	switch data, err := safeopen.Read(d.path(e.name)); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !bytes.Equal(data, e.data):
		return nil
	}
	return do(d.path(e.name))
}
