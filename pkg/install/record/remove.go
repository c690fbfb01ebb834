// SPDX-License-Identifier: Apache-2.0

package record

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"calico-cni/pkg/install/hostfile"
)

// Remover removes recorded files, or only reports what it would remove. It leaves files that have changed since install
// wrote them.
type Remover struct {
	File *File
	// Dry makes it report only.
	Dry bool
	// Report is called for each path that is or would be changed, with the verb, such as "removed".
	Report func(what, path string)
	// ReportLeft is called for each file or other thing that is left, with the reason.
	ReportLeft func(text string)

	// reasons has a text for each thing that is left.
	reasons []string
	// changed has the paths that were removed or changed.
	changed []string
}

// Left returns what was left, each with the reason.
func (r *Remover) Left() []string { return r.reasons }

// Done reports whether a path was removed or changed, or would be.
func (r *Remover) Done(path string) bool { return slices.Contains(r.changed, path) }

// Count returns the number of paths that were removed or changed, or would be.
func (r *Remover) Count() int { return len(r.changed) }

// Leave notes something that is left, with the reason.
func (r *Remover) Leave(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	r.reasons = append(r.reasons, text)
	r.ReportLeft(text)
}

// Take notes a path that is removed or changed.
func (r *Remover) Take(what, path string) {
	r.changed = append(r.changed, path)
	r.Report(what, path)
}

// Chained returns the paths of the lists that the plugin must be removed from, the current one last.
func (r *Remover) Chained() []string {
	record := r.File.record
	var paths []string
	for _, name := range append(slices.Clone(record.Unchain), record.Chained) {
		if name != "" {
			paths = append(paths, filepath.Join(r.File.root, name))
		}
	}
	return paths
}

// RemoveOwned removes the recorded files whose path is selected.
func (r *Remover) RemoveOwned(selected func(path string) bool) error {
	// In this order the kubeconfig, which is a secret, precedes the binaries.
	for _, name := range slices.Sorted(maps.Keys(r.File.record.Files)) {
		if !selected(filepath.Join(r.File.root, name)) {
			continue
		}
		if err := r.remove(name); err != nil {
			return err
		}
	}
	return nil
}

func (r *Remover) remove(name string) error {
	record, path := r.File.record, filepath.Join(r.File.root, name)
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && hostfile.Directory(filepath.Dir(path)) != nil:
		// The file may still be on the host, so the record keeps it.
		r.Leave("%s, whose directory is not mounted here: mount it, and uninstall again", path)
		return nil
	case errors.Is(err, fs.ErrNotExist):
		delete(record.Files, name)
		return nil
	case err != nil:
		return err
	}
	owned := false
	if info.Mode().IsRegular() {
		sum, err := hostfile.SHA256(path)
		if err != nil {
			return err
		}
		owned = record.Owns(name, sum)
	}
	delete(record.Files, name)
	if !owned {
		r.Leave("%s, which another program changed: %s", path, hostfile.Describe(path))
		return nil
	}
	r.Take("removed", path)
	if r.Dry {
		return nil
	}
	return os.Remove(path)
}
