// SPDX-License-Identifier: Apache-2.0

package record

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"calico-cni/internal/atomicfile"
	"calico-cni/internal/buildinfo"
	"calico-cni/internal/safeopen"
	"calico-cni/pkg/install/hostfile"
)

// File is the record of one host. The entries of this process survive a removal of the file.
type File struct {
	root, dir string
	log       *slog.Logger
	loaded    bool
	record    Record
}

// New returns the record in the configuration directory dir of the host whose root is mounted at root. It reads
// nothing.
func New(root, dir string, log *slog.Logger) *File {
	return &File{root: root, dir: dir, log: log, record: empty()}
}

// Path returns the path of the record.
func (f *File) Path() string { return filepath.Join(f.dir, Name) }

// InstalledVersion returns the version of the installer that wrote last, empty if nothing is installed.
func (f *File) InstalledVersion() string { return f.record.Version }

// Load reads the record, once. A record that cannot be read is logged.
func (f *File) Load() {
	if f.loaded {
		return
	}
	var err error
	f.record, err = Load(f.Path())
	f.loaded = true
	switch {
	case errors.Is(err, ErrNewer):
		f.log.Warn("the record of installed files stays as it is, without the files of this version: "+
			"uninstall with the newer version", "error", err)
	case err != nil:
		f.log.Warn("the record of installed files cannot be read; uninstall leaves the files of earlier runs",
			"path", f.Path(), "error", err)
	}
}

// relative returns a path relative to the host's root.
func (f *File) relative(path string) string {
	name, err := filepath.Rel(f.root, path)
	if err != nil {
		return path
	}
	return name
}

// Owns reports whether install wrote content with this digest to a path.
func (f *File) Owns(path string, sum [32]byte) bool { return f.record.Owns(f.relative(path), sum) }

// WrittenBy returns the version of the installer that wrote content with this digest to a path, empty if unknown. It
// reads the file: other installers may have written to it since.
func (f *File) WrittenBy(path string, sum [32]byte) string {
	r, err := Load(f.Path())
	if err != nil || !r.Owns(f.relative(path), sum) {
		return ""
	}
	return r.Versions[hex.EncodeToString(sum[:])]
}

// EnterBinaries adds the digests of binaries that are about to be written, by path.
func (f *File) EnterBinaries(sums map[string][32]byte) error {
	entered := false
	for path, sum := range sums {
		if f.record.enter(f.relative(path), sum) {
			f.record.Versions[hex.EncodeToString(sum[:])], entered = buildinfo.Version, true
		}
	}
	if !entered {
		return nil
	}
	return f.Save()
}

// Put writes data to a file, after it has entered it in the record. It does not write a file that has this content and
// mode.
func (f *File) Put(path string, data []byte, mode fs.FileMode) (written bool, err error) {
	same, err := atomicfile.Holds(path, bytes.NewReader(data), mode)
	if same || err != nil {
		return false, err
	}
	if f.record.enter(f.relative(path), sha256.Sum256(data)) {
		if err := f.Save(); err != nil {
			return false, err
		}
	}
	return atomicfile.WriteFile(path, data, mode)
}

// SetChained enters the list that the plugin is about to be added to, "" for none. The plugin must still be removed
// from the previous list. SetChained does not write the record.
func (f *File) SetChained(path string) (changed bool) {
	now := ""
	if path != "" {
		now = f.relative(path)
	}
	before := f.record.Chained
	if before != "" && before != now && !slices.Contains(f.record.Unchain, before) {
		f.record.Unchain = append(f.record.Unchain, before)
	}
	f.record.Chained = now
	return before != now
}

// ForgetUnchained removes the lists that the plugin had to be removed from, and writes the record if there were any.
func (f *File) ForgetUnchained() error {
	if len(f.record.Unchain) == 0 {
		return nil
	}
	f.record.Unchain = nil
	return f.Save()
}

// Save writes the record, merged with the entries that other installers made since it was read. It does not replace a
// record of a newer format.
func (f *File) Save() error {
	unlock, err := lockDir(f.dir)
	if err != nil {
		return fmt.Errorf("lock %s: %w", f.dir, err)
	}
	defer unlock()
	switch others, err := Load(f.Path()); {
	case errors.Is(err, ErrNewer):
		return nil
	case err == nil:
		f.record.merge(others)
	}
	f.record.Format, f.record.Version = currentFormat, buildinfo.Version
	data, err := json.MarshalIndent(f.record, "", "  ")
	if err != nil {
		return fmt.Errorf("encode record: %w", err)
	}
	_, err = atomicfile.WriteFile(f.Path(), append(data, '\n'), hostfile.SecretMode)
	return err
}

// Delete removes the record once it lists no files.
func (f *File) Delete() error {
	if len(f.record.Files) > 0 {
		return nil
	}
	if err := os.Remove(f.Path()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// lockDir locks the record against other installers. The kernel releases the lock when the process ends.
func lockDir(path string) (unlock func(), err error) {
	dir, err := safeopen.Dir(path)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return func() { _ = dir.Close() }, nil
}
