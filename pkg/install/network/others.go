// SPDX-License-Identifier: Apache-2.0

package network

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"calico-cni/pkg/install/hostfile"
)

// Others are the configurations of other programs in the directory.
type Others struct {
	Dir Dir
	// Own is the file name of our configuration.
	Own string
	// OldName is a configuration to remove, empty for none.
	OldName string
	// Exclusive moves all others aside.
	Exclusive bool
	Log       *slog.Logger
}

// OldPath returns the path of the configuration to remove. It is empty if there is none, or if it is our own.
func (o Others) OldPath() string {
	if o.OldName == "" || o.OldName == o.Own {
		return ""
	}
	return o.Dir.Path(o.OldName)
}

// RemoveOld removes the old configuration.
func (o Others) RemoveOld() error {
	path := o.OldPath()
	if path == "" {
		return nil
	}
	err := os.Remove(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	o.Log.Info("old network configuration is removed", "path", path)
	return nil
}

// FindOld reports an old configuration that has appeared again.
func (o Others) FindOld() ([]string, error) {
	path := o.OldPath()
	if path == "" {
		return nil, nil
	}
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return []string{path + " exists again: " + hostfile.Describe(path)}, nil
}

// Rivals returns the paths of the configurations to move aside. There are none unless Exclusive.
func (o Others) Rivals() ([]string, error) {
	if !o.Exclusive {
		return nil, nil
	}
	names, err := o.Dir.Configs()
	var paths []string
	for _, name := range names {
		if name != o.Own {
			paths = append(paths, o.Dir.Path(name))
		}
	}
	return paths, err
}

// MoveAside renames the rivals, so that container runtimes do not read them.
func (o Others) MoveAside() error {
	rivals, err := o.Rivals()
	if err != nil {
		return err
	}
	for _, path := range rivals {
		was := hostfile.Describe(path)
		if err := os.Rename(path, path+AsideSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("move %s aside: %w", filepath.Base(path), err)
		}
		o.Log.Warn("another network configuration is moved aside; uninstall restores it",
			"path", path, "to", filepath.Base(path)+AsideSuffix, "was", was)
	}
	return nil
}

// Active describes the configuration that container runtimes use instead of our own, with the remedy. It is empty if
// they use our own, or if Exclusive moves the other one aside.
func (o Others) Active() string {
	active, err := o.Dir.Active()
	if err != nil || o.Exclusive || active == "" || active >= o.Own {
		return ""
	}
	return o.Dir.describeActive(active, o.Own)
}

// FindRivals describes the rivals.
func (o Others) FindRivals() ([]string, error) {
	rivals, err := o.Rivals()
	var found []string
	for _, path := range rivals {
		found = append(found, path+" exists: "+hostfile.Describe(path))
	}
	return found, err
}
