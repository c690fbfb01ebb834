// SPDX-License-Identifier: Apache-2.0

package pending

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"calico-cni/internal/atomicfile"
	"calico-cni/internal/hostdir"
	"calico-cni/internal/hostlock"
	"calico-cni/internal/safeopen"
)

// directory holds the files of the queue.
type directory struct{ root string }

const (
	// filesLock is held while a file is written or removed.
	filesLock = "files.lock"
	// lockTimeout bounds the wait for other processes that write files, each with one or two fsyncs. It does not depend
	// on the deadline of the command.
	lockTimeout = 20 * time.Second
)

func (d directory) path(name string) string { return filepath.Join(d.root, name) }

func (d directory) lock() (unlock func(), err error) {
	return hostlock.Within(lockTimeout, d.path(filesLock))
}

func (d directory) create() error {
	parent := filepath.Dir(d.root)
	if err := hostdir.Make(parent, 0o755); err != nil {
		return err
	}
	switch err := os.Mkdir(d.root, 0o700); {
	case errors.Is(err, fs.ErrExist):
		return nil
	case err != nil:
		return hostdir.Explain(parent, err)
	}
	return atomicfile.SyncDir(parent)
}

// list returns the files of releases in no order.
func (d directory) list() (files []fs.DirEntry, err error) {
	dir, err := safeopen.Dir(d.root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, hostdir.Explain(d.root, err)
	}
	defer func() { _ = dir.Close() }()
	entries, err := dir.ReadDir(-1)
	for _, e := range entries {
		if e.Type().IsRegular() && strings.HasSuffix(e.Name(), suffix) && !strings.HasPrefix(e.Name(), ".") {
			files = append(files, e)
		}
	}
	return files, err
}

// inOrder returns the names of all files, first the one that was added or last tried the longest time ago.
func (d directory) inOrder() ([]string, error) {
	entries, err := d.list()
	if err != nil {
		return nil, fmt.Errorf("list queued releases: %w", err)
	}
	infos := make([]fs.FileInfo, 0, len(entries))
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list queued releases: %w", err)
		}
		infos = append(infos, info)
	}
	slices.SortFunc(infos, func(a, b fs.FileInfo) int {
		return cmp.Or(a.ModTime().Compare(b.ModTime()), cmp.Compare(a.Name(), b.Name()))
	})
	names := make([]string, len(infos))
	for i, info := range infos {
		names[i] = info.Name()
	}
	return names, nil
}

// write writes a file as the last in order. The caller holds the lock.
func (d directory) write(name string, data []byte) error {
	last, err := d.nextTime()
	if err != nil {
		return err
	}
	written, err := atomicfile.WriteFile(d.path(name), data, 0o600, func(temporary string) error {
		return os.Chtimes(temporary, time.Time{}, last)
	})
	if err != nil || written {
		return err
	}
	// The file has the same bytes. Its writer may have been killed before the fsync.
	return atomicfile.SyncDir(d.root)
}

// moveToEnd makes a file the last in order.
func (d directory) moveToEnd(name string) error {
	unlock, err := d.lock()
	if err != nil {
		return err
	}
	defer unlock()
	last, err := d.nextTime()
	if err != nil {
		return err
	}
	if err = os.Chtimes(d.path(name), time.Time{}, last); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// nextTime returns a modification time that is later than all that it returned before, regardless of the clock. The
// lock file stores it. The caller holds the lock.
func (d directory) nextTime() (time.Time, error) {
	info, err := os.Stat(d.path(filesLock))
	if err != nil {
		return time.Time{}, err
	}
	next := info.ModTime().Add(time.Microsecond)
	return next, os.Chtimes(d.path(filesLock), time.Time{}, next)
}

// sweep removes temporary files of killed writers. A running writer holds the lock, so none of the files is in use.
func (d directory) sweep() error {
	unlock, err := d.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if err := atomicfile.SweepAll(d.root); err != nil {
		return fmt.Errorf("remove temporaries: %w", err)
	}
	return nil
}
