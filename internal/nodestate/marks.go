// SPDX-License-Identifier: Apache-2.0

package nodestate

import (
	"errors"
	"fmt"
	"os"
	"time"

	"calico-cni/internal/hostdir"
	"calico-cni/internal/safeopen"
)

// Marks are the in-flight marks of a node. A mark is a file, locked while the ADD runs.
//
// GC, which runs in another process, skips marked attachments. CNI forbids a runtime to run both at the same time
// (specification 1.1.0, section 2, "GC"), but a mistake would cost a running pod its address. From the mark a DEL
// learns whether a request of an ADD may still take effect.
type Marks struct {
	// Dir holds the files. It need not survive a reboot.
	Dir string
	// Boot is the time since boot.
	Boot func() time.Duration
}

// MarkState is what the marks of an attachment say about its last ADD.
type MarkState int

// The states. The later one allows fewer conclusions. A mark whose ADD was killed, or that has another version, counts
// as Interrupted.
const (
	// Unmarked: there is no mark.
	Unmarked MarkState = iota
	// Succeeded: all ADDs since the mark was created have succeeded.
	Succeeded
	// Interrupted: an ADD has failed or was killed. One of its requests may still take effect.
	Interrupted
	// Active: an ADD is running.
	Active
)

// String returns the name of the state.
func (s MarkState) String() string {
	return [...]string{"none", "succeeded", "interrupted", "active"}[s]
}

// Begin marks an attachment as being added until end is called or the process ends. end records when the ADD ended and
// whether it succeeded. The mark stays until Forget or Sweep removes it. After an ADD that failed, a later success does
// not change the state to Succeeded.
func (m Marks) Begin(k Key, plugin Plugin) (end func(succeeded bool), err error) {
	if err := hostdir.Make(m.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("mark attachment as being added: %w", err)
	}
	f, created, err := openShared(k.path(m.Dir, plugin))
	if err != nil {
		return nil, fmt.Errorf("mark attachment as being added: %w", hostdir.Explain(m.Dir, err))
	}
	before, ok := parseMark(contentOf(f))
	clean := created || ok && before.phase == phaseSucceeded
	own := mark{phase: phaseAdding, at: m.Boot(), pid: os.Getpid(), key: k}
	if err := writeMark(f, own); err != nil {
		return nil, errors.Join(fmt.Errorf("mark attachment as being added: %w", err), f.Close())
	}
	return func(succeeded bool) {
		done := own
		done.phase, done.at = phaseFailed, m.Boot()
		// Another ADD of the attachment, which a runtime should not run at the same time, may have replaced the content.
		if succeeded && clean && contentOf(f) == own.String() {
			done.phase = phaseSucceeded
		}
		// Write before the lock is released: a reader sees either the lock or the time.
		_ = errors.Join(writeMark(f, done), f.Close())
	}, nil
}

// Forget removes the marks of some plugins on a deleted attachment, except a mark whose ADD is running.
func (m Marks) Forget(k Key, of ...Plugin) {
	for _, plugin := range of {
		withIdle(k.path(m.Dir, plugin), func(f *os.File) { _ = os.Remove(f.Name()) })
	}
}

// withIdle calls do with the mark at a path, exclusively locked, if no ADD is running.
func withIdle(path string, do func(f *os.File)) {
	f, err := tryExclusive(path)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	if isCurrent(f) {
		do(f)
	}
}

// State returns what the marks of an attachment say: of the plugins' states, the one that allows fewest conclusions. A
// mark that cannot be read counts as Active.
func (m Marks) State(k Key) (state MarkState) {
	for _, plugin := range plugins {
		s, _ := readMark(k.path(m.Dir, plugin))
		state = max(state, s)
	}
	return state
}

// Since reports whether an ADD of the attachment is running, or ended at or after start, a time since boot. A time in
// the future is of an earlier boot.
func (m Marks) Since(k Key, start time.Duration) bool {
	for _, plugin := range plugins {
		state, at := readMark(k.path(m.Dir, plugin))
		if state == Active || state != Unmarked && at >= start && at <= m.Boot() {
			return true
		}
	}
	return false
}

// readMark returns the state of the mark at a path, and when its last ADD ended, or 0 if that is unknown.
func readMark(path string) (MarkState, time.Duration) {
	// Lock before reading: an ADD writes the time before it releases its lock.
	f, err := tryExclusive(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return Unmarked, 0
	case err != nil:
		return Active, 0
	}
	defer func() { _ = f.Close() }()
	m, ok := parseMark(contentOf(f))
	switch {
	case ok && m.phase == phaseSucceeded:
		return Succeeded, m.at
	case ok && m.phase == phaseFailed:
		return Interrupted, m.at
	}
	return Interrupted, 0
}

// Ended returns the attachments of a network whose marks have no running ADD.
func (m Marks) Ended(network string) (keys []Key) {
	seen := map[Key]bool{}
	for _, path := range paths(m.Dir) {
		data, _ := safeopen.Read(path)
		c, ok := parseMark(string(data))
		if !ok || c.key.Network != network || seen[c.key] {
			continue
		}
		seen[c.key] = true
		if m.State(c.key) != Active {
			keys = append(keys, c.key)
		}
	}
	return keys
}
