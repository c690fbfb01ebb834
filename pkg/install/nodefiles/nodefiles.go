// SPDX-License-Identifier: Apache-2.0

// Package nodefiles writes the files of Calico's node agent on a node without an agent.
package nodefiles

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"

	"calico-cni/internal/atomicfile"
	"calico-cni/pkg/install/hostfile"
)

// Mode lets all users of the node read the files, as with Calico's agent.
const Mode fs.FileMode = 0o644

// Record writes files and knows which of them install wrote.
type Record interface {
	// Owns reports whether install wrote content with this digest to a path.
	Owns(path string, sum [32]byte) bool
	// Put makes a file hold data, and reports whether it had to be written.
	Put(path string, data []byte, mode fs.FileMode) (written bool, err error)
}

// Files are the node's files. They are not managed unless Enabled.
type Files struct {
	Enabled bool
	// Dir is where the host's /var/lib/calico is mounted.
	Dir string
	// MTU in bytes. 0 means the MTU of the link of the default route, from LinkMTU.
	MTU     int
	LinkMTU func() (int, error)
	Record  Record
	Log     *slog.Logger

	nodeName string
}

// SetNode sets the node's name.
func (f *Files) SetNode(name string) { f.nodeName = name }

// File is one of the files.
type File struct {
	Path string
	Data []byte
}

// Install writes the files. It leaves a file that install did not write, because it belongs to an agent.
func (f *Files) Install() error {
	files, err := f.Wanted()
	if err != nil {
		return err
	}
	for _, file := range files {
		written, err := f.Record.Put(file.Path, file.Data, Mode)
		if err != nil {
			return err
		}
		f.Log.Info("node file is in place", "path", file.Path, "content", string(file.Data), "written", written)
	}
	return nil
}

// Find returns how the files differ from the desired ones.
func (f *Files) Find() ([]string, error) {
	files, err := f.Wanted()
	if err != nil {
		return nil, err
	}
	var found []string
	for _, file := range files {
		same, err := atomicfile.Holds(file.Path, bytes.NewReader(file.Data), Mode)
		if err != nil {
			return nil, err
		}
		if !same {
			found = append(found, hostfile.Difference(file.Path))
		}
	}
	return found, nil
}

// Wanted returns the files that install may write: those that are missing and those that it wrote. They do not end with
// a newline, because Calico's plugin does not trim them.
func (f *Files) Wanted() ([]File, error) {
	if !f.Enabled {
		return nil, nil
	}
	if err := hostfile.Directory(f.Dir); err != nil {
		return nil, fmt.Errorf("find the mount of the host's /var/lib/calico: %w; mount it there, or unset NODE_FILES", err)
	}
	mtu, err := f.mtu()
	if err != nil {
		return nil, err
	}
	var files []File
	for _, file := range []File{
		{filepath.Join(f.Dir, "nodename"), []byte(f.nodeName)},
		{filepath.Join(f.Dir, "mtu"), []byte(strconv.Itoa(mtu))},
	} {
		ours, err := f.mayWrite(file.Path)
		if err != nil {
			return nil, err
		}
		if ours {
			files = append(files, file)
		}
	}
	return files, nil
}

// mtu returns the configured MTU, or else that of the link of the default route. It does not subtract the overhead of
// an encapsulation, which is unknown here: with encapsulating pools, set CNI_MTU.
func (f *Files) mtu() (int, error) {
	if f.MTU != 0 {
		return f.MTU, nil
	}
	mtu, err := f.LinkMTU()
	if err != nil {
		return 0, fmt.Errorf("find the MTU of the node's link: %w; set CNI_MTU, or run on the host's network", err)
	}
	return mtu, nil
}

// mayWrite reports whether a file is missing, or still has the content that install wrote.
func (f *Files) mayWrite(path string) (bool, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true, nil
	case err != nil:
		return false, err
	case !info.Mode().IsRegular():
		return false, nil
	}
	sum, err := hostfile.SHA256(path)
	return err == nil && f.Record.Owns(path, sum), err
}
