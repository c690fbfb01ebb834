// SPDX-License-Identifier: Apache-2.0

// Package pending is the release queue of a node: one file for each release, in a directory that survives a reboot.
//
// A DEL that cannot reach the API server adds its release and succeeds. The next command that reaches the API server
// settles the queue. This package handles files and locks. The caller carries out the release.
//
// The address of a queued release is still allocated in the cluster, so no other pod can get it. An ADD of the same
// attachment must not overtake the release: it calls Exclude and then SettleOne before it allocates. A release is
// settled at least once. After a crash between the release and the removal of its file, it is settled again. Settling
// must be idempotent, as DEL is.
//
// No decision depends on the wall clock, which may be set at any time. Releases are settled in the order in which they
// were added or last tried.
package pending

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"calico-cni/internal/hostdir"
	"calico-cni/internal/nodestate"
	"calico-cni/internal/safeopen"
)

var (
	// ErrFull says that the queue has reached its limit.
	ErrFull = errors.New("queue of releases is full")
	// ErrSuperseded says that an ADD of the attachment has begun since the DEL did.
	ErrSuperseded = errors.New("an ADD of the same attachment has begun since")
	// ErrVersion says that a newer version of the plugins wrote a release.
	ErrVersion = errors.New("format is newer than this plugin")
)

// Queue adds releases to a directory. Many processes may use it at the same time.
type Queue struct {
	// Dir is created with the first release. It must survive a reboot of the node, as the allocations do.
	Dir string
	// Limit is the maximum number of releases; 0 means 4096.
	Limit int
	// Now is the wall clock.
	Now func() time.Time
}

const defaultLimit = 4096

// Add queues a release. When it returns nil, the release survives a power failure. It replaces a queued release of the
// same attachment, but keeps its Addresses and Released. It leaves a release of a newer version, and one that names
// another API server, unchanged. If Queued is zero, it is set to the current time. An error wraps ErrFull,
// hostlock.ErrBusy if other processes held the lock of the directory for 20 s, or an error of the operating system; the
// release may then be queued or not.
func (q Queue) Add(r Release) error { return q.AddIf(r, func() bool { return true }) }

// AddIf is Add on the condition that current returns true while Exclude is locked out. Otherwise the error wraps
// ErrSuperseded.
func (q Queue) AddIf(r Release, current func() bool) error {
	r.Version = version
	if r.Queued.IsZero() {
		r.Queued = q.Now().UTC()
	}
	if err := q.files().create(); err != nil {
		return fmt.Errorf("make queue of releases: %w", err)
	}
	unlock, err := q.files().lock()
	if err != nil {
		return fmt.Errorf("queue release: %w", err)
	}
	defer unlock()
	if !current() {
		return fmt.Errorf("queue release: %w: the runtime has to call DEL again after that ADD", ErrSuperseded)
	}
	name := fileName(r.Key())
	before, err := q.stored(name)
	if err == nil && before.namesOtherServer(r) {
		name = otherServerFileName(r)
		before, err = q.stored(name)
	}
	if errors.Is(err, ErrVersion) {
		return nil
	}
	if err := q.checkRoom(name); err != nil {
		return err
	}
	r.keepFrom(before)
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode release: %w", err)
	}
	if err := q.files().write(name, data); err != nil {
		return fmt.Errorf("queue release: %w", hostdir.Explain(q.Dir, err))
	}
	return nil
}

// Exclude calls do while no process can add a release. In do, an ADD invalidates earlier DELs that have not queued
// their releases yet. SettleOne then finds all releases that were queued.
func (q Queue) Exclude(do func() error) error {
	if err := q.files().create(); err != nil {
		return fmt.Errorf("make queue of releases: %w", err)
	}
	unlock, err := q.files().lock()
	if err != nil {
		return fmt.Errorf("lock queue of releases: %w", err)
	}
	defer unlock()
	return do()
}

// Len counts the queued releases. It reads the directory once. A missing directory has none.
func (q Queue) Len() (int, error) {
	entries, err := q.files().list()
	if err != nil {
		return 0, fmt.Errorf("count queued releases: %w", err)
	}
	return len(entries), nil
}

// Has reports whether a release of the attachment is queued. It checks one file.
func (q Queue) Has(k nodestate.Key) (bool, error) {
	switch _, err := os.Lstat(q.files().path(fileName(k))); {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look for a queued release: %w", hostdir.Explain(q.Dir, err))
	}
	return true, nil
}

func (q Queue) files() directory { return directory{q.Dir} }

// stored returns the release in a file, or an empty one if the file cannot be read. An error wraps ErrVersion.
func (q Queue) stored(name string) (Release, error) {
	var r Release
	if data, err := safeopen.Read(q.files().path(name)); err != nil || json.Unmarshal(data, &r) != nil {
		return Release{}, nil
	}
	switch {
	case r.Version > version:
		return Release{}, ErrVersion
	case r.Version < 1:
		return Release{}, nil
	}
	return r, nil
}

// checkRoom returns ErrFull if the queue has no room for a file of that name.
func (q Queue) checkRoom(name string) error {
	limit := q.Limit
	if limit == 0 {
		limit = defaultLimit
	}
	entries, err := q.files().list()
	if err != nil {
		return fmt.Errorf("count queued releases: %w", err)
	}
	others := len(entries)
	for _, e := range entries {
		if e.Name() == name {
			others--
		}
	}
	if others >= limit {
		return fmt.Errorf("%w: %d wait in %s; the node has to reach the API server: check that it runs, and that the "+
			"kubeconfig is valid", ErrFull, others, q.Dir)
	}
	return nil
}
