// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"calico-cni/internal/atomicfile"
	"calico-cni/internal/deadline"
	"calico-cni/internal/hostlock"
	"calico-cni/internal/safeopen"
)

// lockTimeout bounds the wait for host-local's lock. Host-local holds it for milliseconds.
const lockTimeout = 10 * time.Second

// marker is the first line of the file that replaces host-local's directory.
const marker = "This network's addresses were moved from host-local to calico-ipam.\n"

// markerText is the whole text of that file.
const markerText = marker +
	"While this file exists, host-local allocates no address for this network. The leases from before the migration\n" +
	"are in the directory beside this file whose name ends in .migrated, until their containers are gone.\n"

// Done reports whether a network was migrated on this node: whether the marker exists.
func Done(readFile func(string) ([]byte, error), networks, network string) bool {
	data, err := readFile(filepath.Join(networks, network))
	return err == nil && strings.HasPrefix(string(data), marker)
}

// state is the progress of a migration.
type state int

const (
	// absent: host-local has no directory for the network.
	absent state = iota
	// live: host-local's directory is in use.
	live
	// fenced: the marker has replaced the directory.
	fenced
)

func (m Migration) store() string   { return filepath.Join(m.Networks, m.Network) }
func (m Migration) aside() string   { return m.store() + ".migrated" }
func (m Migration) journal() string { return m.store() + ".migrating" }

func (m Migration) state() (state, error) {
	info, err := os.Lstat(m.store())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return absent, nil
	case err != nil:
		return absent, fmt.Errorf("find host-local's leases: %w", err)
	case info.IsDir():
		return live, nil
	case Done(safeopen.Read, m.Networks, m.Network):
		return fenced, nil
	}
	return absent, fmt.Errorf("%s is neither host-local's directory nor the marker of a migration: move it away",
		m.store())
}

// fence atomically replaces host-local's directory with the marker, unless the leases have changed.
func (m Migration) fence(ctx context.Context, leases []Lease) (done bool, err error) {
	if err := m.writeMark(); err != nil {
		return false, err
	}
	ctx, cancel := deadline.Within(ctx, lockTimeout, "the wait for the lock of host-local")
	defer cancel()
	// This is the file that host-local locks (flock).
	unlock, err := hostlock.Acquire(ctx, filepath.Join(m.store(), "lock"))
	if err != nil {
		return false, fmt.Errorf("take host-local's lock: %w", err)
	}
	defer unlock()
	now, err := Leases(os.DirFS(m.store()))
	if err != nil || !slices.EqualFunc(now, leases, same) {
		return false, err
	}
	if err := exchange(m.aside(), m.store()); err != nil {
		return false, fmt.Errorf("replace %s with the marker: %w", m.store(), err)
	}
	if err := atomicfile.SyncDir(m.Networks); err != nil {
		return true, err
	}
	m.Log.Info("node migrated", "marker", m.store(), "leases", m.aside())
	return true, remove(m.journal())
}

// exchange swaps a file and a directory, atomically if the file system supports it (renameat2(2) returns EINVAL if not,
// as on ZFS before 2.2).
func exchange(file, dir string) error {
	err := unix.Renameat2(unix.AT_FDCWD, file, unix.AT_FDCWD, dir, unix.RENAME_EXCHANGE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return exchangeInSteps(file, dir)
	}
	return err
}

// If exchangeInSteps is interrupted, the directory may be in the file's place and nothing in the directory's.
func exchangeInSteps(file, dir string) error {
	between := file + ".new"
	if err := os.Rename(file, between); err != nil {
		return err
	}
	if err := os.Rename(dir, file); err != nil {
		return err
	}
	return os.Rename(between, dir)
}

// finish writes the marker if an exchange in steps was interrupted after the leases were moved aside.
func (m Migration) finish() error {
	if _, err := os.Lstat(m.store()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if info, err := os.Lstat(m.aside()); err != nil || !info.IsDir() {
		return nil
	}
	if _, err := atomicfile.WriteFile(m.store(), []byte(markerText), 0o644); err != nil {
		return fmt.Errorf("write the marker of the migration: %w", err)
	}
	return remove(m.aside() + ".new")
}

// lockExclusively locks host-local's directory against a second migration until it is unlocked or the process ends.
// Host-local locks a file in the directory, not the directory itself.
func (m Migration) lockExclusively() (unlock func(), err error) {
	// The store may also be the marker, a file.
	dir, err := os.OpenFile(m.store(), os.O_RDONLY|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return func() {}, nil
	} else if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w: another migration is running; wait for it to end", m.store(),
			err), dir.Close())
	}
	return func() { _ = dir.Close() }, nil
}

func (m Migration) writeMark() error {
	if info, err := os.Lstat(m.aside()); err == nil && info.IsDir() {
		return fmt.Errorf("%s has the leases of an earlier migration, but host-local has allocated addresses since: "+
			"remove it when no container of that migration is running", m.aside())
	}
	if _, err := atomicfile.WriteFile(m.aside(), []byte(markerText), 0o644); err != nil {
		return fmt.Errorf("write the marker of the migration: %w", err)
	}
	return nil
}
