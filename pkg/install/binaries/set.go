// SPDX-License-Identifier: Apache-2.0

package binaries

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"calico-cni/internal/atomicfile"
	"calico-cni/pkg/install/hostfile"
)

// Record knows which binaries install wrote.
type Record interface {
	// Owns reports whether install wrote content with this digest to a path.
	Owns(path string, sum [32]byte) bool
	// WrittenBy returns the version of the installer that wrote it, empty if unknown.
	WrittenBy(path string, sum [32]byte) string
	// EnterBinaries adds binaries that are about to be written, by path.
	EnterBinaries(sums map[string][32]byte) error
}

// Options configure which binaries are installed, and where.
type Options struct {
	// Image is the directory of the binaries, and Skip has names in it to leave out.
	Image string
	Skip  []string
	// Dirs are the binary directories of the host, as they are mounted. Absent ones are ignored.
	Dirs []string
	// Update replaces binaries that the host already has, Downgrade also those of a newer version.
	Update, Downgrade bool
	Record            Record
	Now               func() time.Time
	Log               *slog.Logger
}

// Set is the set of binaries in the directories of one host.
type Set struct {
	Options
	image   *image
	digests *digests
}

// New returns the set of binaries on a host. It reads nothing.
func New(o Options) *Set {
	return &Set{Options: o, image: &image{dir: o.Image, skip: o.Skip}, digests: newDigests(o.Now)}
}

// KeepNewer protects binaries of a newer version from now on. An operator who starts an older version wants a rollback,
// but a process that was already running when the newer version was installed must not revert it.
func (s *Set) KeepNewer() { s.Downgrade = false }

// Install updates every directory of the host. At least one must then contain all binaries, or suffice without being
// writable.
func (s *Set) Install(ctx context.Context) error {
	wanted, err := s.image.binaries()
	if err != nil {
		return err
	}
	complete := false
	for _, dir := range s.Dirs {
		ok, err := s.fill(ctx, dir, wanted)
		if err != nil {
			return err
		}
		complete = complete || ok
	}
	if !complete {
		return missingFrom(s.Dirs)
	}
	return nil
}

// missingFrom returns an ErrMissing that names the directories.
func missingFrom(dirs []string) error {
	return fmt.Errorf("%w: none of %s contains them all or is writable; "+
		"mount the runtime's binary directory at the first of them, read-write", ErrMissing, strings.Join(dirs, ", "))
}

// fill updates one directory and reports whether it then contains all binaries. It skips a directory that is absent or
// not writable, because another one may contain the binaries.
func (s *Set) fill(ctx context.Context, dir string, wanted []binary) (complete bool, err error) {
	if err := hostfile.Directory(dir); errors.Is(err, fs.ErrNotExist) {
		s.Log.Info("binary directory does not exist", "dir", dir)
		return false, nil
	} else if err != nil {
		return false, err
	}
	lacking, err := s.lacking(dir, wanted)
	if denied := hostfile.Writable(dir); denied != nil {
		s.Log.Warn("binary directory is not writable", "dir", dir, "error", denied, "lacking", names(lacking))
		return suffices(lacking, s.Update) && err == nil, err
	}
	if err != nil {
		return false, err
	}
	hostfile.SweepStale(dir, s.Now(), s.Log)
	if err := s.write(ctx, dir, lacking); err != nil {
		return false, err
	}
	for _, line := range s.kept(dir, wanted) {
		s.Log.Warn(line)
	}
	s.Log.Info("binaries are in place", "dir", dir, "written", names(lacking))
	return true, nil
}

// write copies binaries to a directory, after it has entered them in the record.
func (s *Set) write(ctx context.Context, dir string, binaries []binary) error {
	sums := map[string][32]byte{}
	for _, b := range binaries {
		sums[filepath.Join(dir, b.name)] = b.sum
	}
	if err := s.Record.EnterBinaries(sums); err != nil {
		return err
	}
	for _, b := range binaries {
		if _, err := atomicfile.CopyFile(filepath.Join(dir, b.name), b.path, mode, checks(ctx, s.Log, b)...); err != nil {
			return err
		}
	}
	return nil
}

// lacking returns the binaries to write to a directory: those that differ, or without Update those that are missing. It
// leaves out binaries of a newer version that must stay.
func (s *Set) lacking(dir string, wanted []binary) ([]binary, error) {
	var lacking []binary
	for _, b := range wanted {
		path := filepath.Join(dir, b.name)
		ok, err := s.holds(path, b)
		if err != nil {
			return nil, err
		}
		if !ok && s.keeps(path) == "" {
			lacking = append(lacking, b)
		}
	}
	return lacking, nil
}

// suffices reports whether a directory that is not writable has what the node needs. Without Update the node provides
// its own binaries, so that those of this project suffice: an immutable host may not use the others.
func suffices(lacking []binary, update bool) bool {
	if update {
		return len(lacking) == 0
	}
	return !slices.ContainsFunc(lacking, func(b binary) bool { return IsPlugin(b.name) })
}

func (s *Set) holds(path string, b binary) (bool, error) {
	if s.Update {
		return s.digests.holds(path, b)
	}
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func names(binaries []binary) []string {
	names := make([]string, 0, len(binaries))
	for _, b := range binaries {
		names = append(names, b.name)
	}
	return names
}

// LogUnowned logs the plugins on the host that install did not write or that have changed since.
func (s *Set) LogUnowned() {
	for _, dir := range s.Dirs {
		for _, name := range plugins {
			path := filepath.Join(dir, name)
			if _, err := os.Lstat(path); err == nil {
				s.Log.Info("binary stays: it existed before the installation, or has changed since", "path", path)
			}
		}
	}
}

// has reports whether a binary of this name is among those.
func has(binaries []binary, name string) bool {
	return slices.ContainsFunc(binaries, func(b binary) bool { return b.name == name })
}
