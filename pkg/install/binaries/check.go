// SPDX-License-Identifier: Apache-2.0

package binaries

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"

	"calico-cni/pkg/install/hostfile"
)

// Check returns an error unless a directory of the host contains the binaries or is writable, and the plugins to write
// answer VERSION. It writes nothing.
func (s *Set) Check(ctx context.Context) error {
	wanted, err := s.image.binaries()
	if err != nil {
		return err
	}
	possible := false
	var missing []binary
	var closed error
	for _, dir := range s.Dirs {
		if err := hostfile.Directory(dir); errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}
		lacking, err := s.lacking(dir, wanted)
		if err != nil {
			return err
		}
		denied := hostfile.Writable(dir)
		possible = possible || denied == nil || suffices(lacking, s.Update)
		if denied == nil {
			missing = append(missing, lacking...)
		} else if len(lacking) > 0 {
			closed = errors.Join(closed, fmt.Errorf("%s lacks %s and is not writable: %w",
				dir, strings.Join(names(lacking), ", "), denied))
		}
	}
	if !possible && closed != nil {
		return fmt.Errorf("%w: %w", missingFrom(s.Dirs), closed)
	} else if !possible {
		return missingFrom(s.Dirs)
	}
	return checkVersions(ctx, s.Log, wanted, missing)
}

// checkVersions runs the plugins of the image that are missing on the host.
func checkVersions(ctx context.Context, log *slog.Logger, wanted, missing []binary) error {
	for _, b := range wanted {
		if !IsPlugin(b.name) || !has(missing, b.name) {
			continue
		}
		if err := checkVersion(ctx, log, b.name, b.path); err != nil {
			return err
		}
	}
	return nil
}

// Preview prints a line for each file that Install would write, and returns the number of files.
func (s *Set) Preview(print func(format string, args ...any)) (changes int, err error) {
	wanted, err := s.image.binaries()
	if err != nil {
		return 0, err
	}
	complete := false
	for _, dir := range s.Dirs {
		if err := hostfile.Directory(dir); err != nil {
			continue
		}
		lacking, err := s.lacking(dir, wanted)
		if err != nil {
			return 0, err
		}
		for _, line := range s.kept(dir, wanted) {
			print("binary %s\n", line)
		}
		canWrite := hostfile.Writable(dir) == nil
		complete = complete || canWrite || suffices(lacking, s.Update)
		if !canWrite {
			continue
		}
		for _, b := range lacking {
			path := filepath.Join(dir, b.name)
			print("binary %s would be written, now %s%s\n", path, hostfile.Describe(path), newerThan(s.newer(path)))
			changes++
		}
	}
	if !complete {
		return 0, missingFrom(s.Dirs)
	}
	return changes, nil
}

// Find returns how the binaries on the host differ from the image. It reports binaries that are kept because a newer
// version wrote them to note.
func (s *Set) Find(note func(text string)) ([]string, error) {
	wanted, err := s.image.binaries()
	if err != nil {
		return nil, err
	}
	var found []string
	complete := false
	for _, dir := range s.Dirs {
		if err := hostfile.Directory(dir); err != nil {
			continue
		}
		lacking, err := s.lacking(dir, wanted)
		if err != nil {
			return nil, err
		}
		writable := hostfile.Writable(dir) == nil
		complete = complete || len(lacking) == 0 || !writable && suffices(lacking, s.Update)
		for _, line := range s.kept(dir, wanted) {
			note(line)
		}
		if !writable {
			continue
		}
		for _, b := range lacking {
			found = append(found, hostfile.Difference(filepath.Join(dir, b.name)))
		}
	}
	if !complete && len(found) == 0 {
		found = append(found, "no binary directory contains all binaries or is writable")
	}
	return found, nil
}
