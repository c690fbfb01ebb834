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
)

// lockPatience is how long host-local may keep its lock, which it takes for milliseconds.
const lockPatience = 10 * time.Second

// mark begins the file that takes the place of host-local's directory.
const mark = "This network's addresses were moved from host-local to calico-ipam.\n"

// why tells a person the rest.
const why = mark + "While this file is here, host-local gives out no address for it. The leases of that time are in the directory\n" +
	"beside it whose name ends in .migrated, until their containers are gone.\n"

// Done says that a network's addresses were moved on this node: that the mark is there.
func Done(readFile func(string) ([]byte, error), networks, network string) bool {
	data, err := readFile(filepath.Join(networks, network))
	return err == nil && strings.HasPrefix(string(data), mark)
}

// state is how far a migration has come.
type state int

const (
	// absent: host-local has no directory for the network.
	absent state = iota
	// live: host-local's directory is in use.
	live
	// fenced: the mark has taken its place.
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
		return absent, fmt.Errorf("look for host-local's leases: %w", err)
	case info.IsDir():
		return live, nil
	case Done(os.ReadFile, m.Networks, m.Network):
		return fenced, nil
	}
	return absent, fmt.Errorf("%s is neither host-local's directory nor the mark of a migration: move it away", m.store())
}

// note writes down the leases before anything is taken over, beside those noted before, and returns those of the latter
// whose containers have none any more.
func (m Migration) note(leases []Lease) (gone []Lease, err error) {
	data, err := os.ReadFile(m.journal())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read what an earlier migration noted: %w", err)
	}
	lines := strings.Fields(string(data))
	for _, l := range leases {
		if line := l.ContainerID + "/" + l.IfName; l.ContainerID != "" && !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	for _, line := range lines {
		id, ifName, _ := strings.Cut(line, "/")
		if !slices.ContainsFunc(leases, func(l Lease) bool { return l.ContainerID == id && l.IfName == ifName }) {
			gone = append(gone, Lease{ContainerID: id, IfName: ifName})
		}
	}
	if _, err := atomicfile.WriteFile(m.journal(), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("note what is migrated: %w", err)
	}
	return gone, nil
}

// fence puts the mark in the place of host-local's directory, in one step, unless the leases are others by now.
func (m Migration) fence(ctx context.Context, leases []Lease) (done bool, err error) {
	if err := m.makeMark(); err != nil {
		return false, err
	}
	ctx, cancel := deadline.Within(ctx, lockPatience, "the wait for the lock of host-local")
	defer cancel()
	// The file that host-local locks (flock).
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
		return false, fmt.Errorf("put the mark in the place of %s: %w", m.store(), err)
	}
	if err := atomicfile.SyncDir(m.Networks); err != nil {
		return true, err
	}
	m.Log.Info("this node is migrated", "marker", m.store(), "leases", m.aside())
	return true, remove(m.journal())
}

// exchange has a file and a directory change places, in one step where the file system can do that (renameat2(2): EINVAL
// where it cannot, as ZFS before 2.2).
func exchange(file, dir string) error {
	err := unix.Renameat2(unix.AT_FDCWD, file, unix.AT_FDCWD, dir, unix.RENAME_EXCHANGE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return exchangeInSteps(file, dir)
	}
	return err
}

// exchangeInSteps may be cut off with the directory in the file's place and nothing in its own.
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

// finish makes the mark where an exchange in steps was cut off: the leases are aside already.
func (m Migration) finish() error {
	if _, err := os.Lstat(m.store()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if info, err := os.Lstat(m.aside()); err != nil || !info.IsDir() {
		return nil
	}
	if _, err := atomicfile.WriteFile(m.store(), []byte(why), 0o644); err != nil {
		return fmt.Errorf("make the mark of the migration: %w", err)
	}
	return remove(m.aside() + ".new")
}

// only keeps a second migration from host-local's directory until it is unlocked, or the process ends. Host-local locks a
// file in it.
func (m Migration) only() (unlock func(), err error) {
	dir, err := os.Open(m.store())
	if errors.Is(err, fs.ErrNotExist) {
		return func() {}, nil
	} else if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w: another migration is at work; wait for its end", m.store(), err), dir.Close())
	}
	return func() { _ = dir.Close() }, nil
}

func (m Migration) makeMark() error {
	if info, err := os.Lstat(m.aside()); err == nil && info.IsDir() {
		return fmt.Errorf("%s has the leases of an earlier migration, and host-local has given out others since: "+
			"remove it when no container of that time runs", m.aside())
	}
	if _, err := atomicfile.WriteFile(m.aside(), []byte(why), 0o644); err != nil {
		return fmt.Errorf("make the mark of the migration: %w", err)
	}
	return nil
}
