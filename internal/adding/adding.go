// SPDX-License-Identifier: Apache-2.0

// Package adding marks the attachments that ADDs of this host work on. A mark is a file, locked while the ADD runs.
//
// A collection of leftovers, which is another process, spares a marked attachment. CNI forbids a runtime to run both at
// once (specification 1.1.0, section 2, "GC"), but a mistake would cost a running pod its address. A DEL reads from the
// mark whether a request of an ADD may still take effect.
package adding

import (
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"calico-cni/internal/hostdir"
	"calico-cni/internal/safeopen"
)

// Marks are the marks of a host.
type Marks struct {
	// Dir holds one file per attachment. It need not outlive a reboot.
	Dir string
	// Boot is the time since boot.
	Boot func() time.Duration
}

// Plugin tells apart the marks of plugins that run for the same attachment: each ADD of calico that runs calico-ipam
// has two.
type Plugin string

// The plugins that mark attachments.
const (
	Main Plugin = "main"
	IPAM Plugin = "ipam"
)

// plugins are all of them.
var plugins = [...]Plugin{Main, IPAM}

// Key names an attachment.
type Key struct{ Network, ContainerID, IfName string }

// State is what the marks of an attachment say about its last ADD.
type State int

// The states, from the one that allows most conclusions to the one that allows least. A mark whose ADD was killed, or
// that another version of this package wrote, counts as Interrupted.
const (
	// None: there is no mark.
	None State = iota
	// Succeeded: all ADDs since the mark was made have succeeded.
	Succeeded
	// Interrupted: an ADD has failed or was killed. A request of it may still take effect.
	Interrupted
	// Active: an ADD is running.
	Active
)

// String returns the name of the state.
func (s State) String() string {
	return [...]string{"none", "succeeded", "interrupted", "active"}[s]
}

// Begin marks an attachment as being added until end is called or the process ends. The mark stays until Forget or
// Sweep; end notes in it when, and whether, the ADD succeeded. After an ADD that did not, no later one makes the mark
// Succeeded.
func (m Marks) Begin(k Key, plugin Plugin) (end func(succeeded bool), err error) {
	if err := hostdir.Make(m.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("mark attachment as being added: %w", err)
	}
	f, made, err := m.open(m.path(k, plugin))
	if err != nil {
		return nil, fmt.Errorf("mark attachment as being added: %w", hostdir.Explain(m.Dir, err))
	}
	before, ok := parse(read(f))
	clean := made || ok && before.phase == phaseSucceeded
	mine := content{phase: phaseAdding, at: m.Boot(), pid: os.Getpid(), key: k}
	if err := write(f, mine); err != nil {
		return nil, errors.Join(fmt.Errorf("mark attachment as being added: %w", err), f.Close())
	}
	return func(succeeded bool) {
		done := mine
		done.phase, done.at = phaseFailed, m.Boot()
		// Another ADD of the attachment, which a runtime should not run at the same time, has replaced the content.
		if succeeded && clean && read(f) == mine.String() {
			done.phase = phaseSucceeded
		}
		// Written while it is locked: a reader sees either the lock or the time.
		_ = errors.Join(write(f, done), f.Close())
	}, nil
}

// open opens and locks the mark. The lock is shared, so that two ADDs of one attachment do not wait for each other.
func (m Marks) open(path string) (f *os.File, made bool, err error) {
	for {
		f, _, err := safeopen.File(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		made := err == nil
		if errors.Is(err, os.ErrExist) {
			f, _, err = safeopen.File(path, os.O_RDWR|os.O_CREATE, 0o600)
		}
		if err != nil {
			return nil, false, err
		}
		// Readers hold the exclusive lock for the time of a few system calls.
		if err := lock(f, unix.LOCK_SH); err != nil {
			return nil, false, errors.Join(err, f.Close())
		}
		if current(f) {
			return f, made, nil
		}
		// Forget or Sweep removed it before it was locked.
		_ = f.Close()
	}
}

// Forget removes the marks of some plugins on an attachment that is gone, but for one whose ADD is running.
func (m Marks) Forget(k Key, of ...Plugin) {
	for _, plugin := range of {
		remove(m.path(k, plugin), func(string) bool { return true })
	}
}

// remove removes the mark at a path if no ADD is running and its content is to go.
func remove(path string, goes func(data string) bool) {
	f, _, err := safeopen.File(path, os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	if lock(f, unix.LOCK_EX|unix.LOCK_NB) == nil && current(f) && goes(read(f)) {
		_ = os.Remove(path)
	}
}

// State returns what the marks of an attachment say, of all plugins: the state that allows least. A mark that cannot be
// read counts as Active.
func (m Marks) State(k Key) (state State) {
	for _, plugin := range plugins {
		s, _ := look(m.path(k, plugin))
		state = max(state, s)
	}
	return state
}

// Since reports whether an ADD of the attachment is running, or was at or after start, a time since boot. A time to
// come is one of an earlier boot.
func (m Marks) Since(k Key, start time.Duration) bool {
	for _, plugin := range plugins {
		state, at := look(m.path(k, plugin))
		if state == Active || state != None && at >= start && at <= m.Boot() {
			return true
		}
	}
	return false
}

// look returns the state of the mark at a path, and when its last ADD ended; 0 where that is unknown.
func look(path string) (State, time.Duration) {
	f, _, err := safeopen.File(path, os.O_RDWR, 0)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return None, 0
	case err != nil:
		return Active, 0
	}
	defer func() { _ = f.Close() }()
	// The lock first: it goes after the time was written.
	if err := lock(f, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return Active, 0
	}
	c, ok := parse(read(f))
	switch {
	case ok && c.phase == phaseSucceeded:
		return Succeeded, c.at
	case ok && c.phase == phaseFailed:
		return Interrupted, c.at
	}
	return Interrupted, 0
}

// lock is flock(2), which a signal to the process may interrupt.
func lock(f *os.File, how int) error {
	for {
		if err := unix.Flock(int(f.Fd()), how); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// current reports whether an open file is still the one at its path.
func current(f *os.File) bool {
	opened, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(f.Name())
	return err == nil && os.SameFile(opened, there)
}

// path is a hash, for a network's name and a container's ID may each be as long as a file's name.
func (m Marks) path(k Key, plugin Plugin) string {
	sum := sha1.Sum([]byte(k.Network + "/" + k.ContainerID + "/" + k.IfName))
	return filepath.Join(m.Dir, hex.EncodeToString(sum[:])+"."+string(plugin))
}
