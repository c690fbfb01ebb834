// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"calico-cni/internal/atomicfile"
	"calico-cni/internal/safeopen"
)

// statusPrefix begins the names of the files of pods. Other files in the directory are left alone.
const statusPrefix = "k8s "

// Files writes the status files of endpoints.
type Files struct {
	// Dir is the directory of the files. It is created if it does not exist.
	Dir string
}

// Apply makes the files of pods equal to those that are wanted, by name. It continues after a file that it cannot
// write. A file that has the wanted content is not written.
func (f Files) Apply(wanted map[string][]byte) (writes int, err error) {
	present, err := f.names()
	if err != nil {
		return 0, err
	}
	var errs []error
	for name := range present {
		if _, ok := wanted[name]; ok {
			continue
		}
		if err := os.Remove(filepath.Join(f.Dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("remove the status file of a deleted endpoint: %w", err))
			continue
		}
		writes++
	}
	for name, content := range wanted {
		path := filepath.Join(f.Dir, name)
		if have, err := safeopen.Read(path); err == nil && bytes.Equal(have, content) {
			continue
		}
		if err := atomicfile.Replace(path, content); err != nil {
			errs = append(errs, fmt.Errorf("write the status file of an endpoint: %w", err))
			continue
		}
		writes++
	}
	return writes, errors.Join(errs...)
}

// names returns the names of the files of pods.
func (f Files) names() (map[string]bool, error) {
	if err := os.MkdirAll(f.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("create the directory of the endpoints' status files: %w", err)
	}
	entries, err := os.ReadDir(f.Dir)
	if err != nil {
		return nil, fmt.Errorf("read the directory of the endpoints' status files: %w", err)
	}
	names := map[string]bool{}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), statusPrefix) {
			names[e.Name()] = true
		}
	}
	return names, nil
}
