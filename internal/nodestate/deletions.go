// SPDX-License-Identifier: Apache-2.0

package nodestate

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"calico-cni/internal/hostdir"
	"calico-cni/internal/safeopen"
)

// maxAge is how long a complete record is valid. A runtime repeats a DEL within seconds.
const maxAge = 10 * time.Minute

// recordVersion is the format of a record: a line with the scope after its time. All phases are padded to the same
// length, so that one write replaces the whole content.
const recordVersion = "1"

// The phases of a record.
const (
	phaseBegun    = "begun"
	phaseReleased = "released"
	phaseComplete = "complete"
)

// Deletions are the deletion records of a node: which attachments a DEL has released completely, so that a repeated DEL
// makes no request.
//
// A DEL opens the record before its first read, and completes it at its end. An ADD removes the record before its first
// request. A DEL writes through the descriptor that it opened. If an ADD has removed the record, the DEL writes to a
// file that no other process can open, and detects that an ADD has begun.
type Deletions struct {
	// Dir holds the files. It must not survive a reboot.
	Dir string
	// Boot is the time since boot.
	Boot func() time.Duration
}

// DeletionRecord is the record of one attachment, opened by a DEL. A node that cannot write records uses the nil
// DeletionRecord, which is never complete and always current.
type DeletionRecord struct {
	file               *os.File
	boot               func() time.Duration
	scope              string
	released, complete bool
}

// Open opens or creates the record of an attachment. scope is what else a DEL depends on, such as the cluster: a record
// of another scope does not count.
func (d Deletions) Open(k Key, plugin Plugin, scope string) (*DeletionRecord, error) {
	path := k.path(d.Dir, plugin)
	f, _, err := safeopen.File(path, os.O_RDWR, 0)
	created := errors.Is(err, fs.ErrNotExist)
	if created {
		if err := hostdir.Make(d.Dir, 0o755); err != nil {
			return nil, fmt.Errorf("record deletion: %w", err)
		}
		f, _, err = safeopen.File(path, os.O_RDWR|os.O_CREATE, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("record deletion: %w", hostdir.Explain(d.Dir, err))
	}
	record := &DeletionRecord{file: f, boot: d.Boot, scope: hash(scope)}
	if !created {
		if phase, ok := d.validPhase(contentOf(f), scope); ok {
			record.complete = phase == phaseComplete
			record.released = record.complete || phase == phaseReleased
			return record, nil
		}
		// It is no longer valid. Renew it for this DEL, so that no sweep removes it.
	}
	if err := record.setPhase(phaseBegun); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if created {
		d.removeExpired()
	}
	return record, nil
}

// validPhase returns the phase of a record that was written in the scope within the last ten minutes.
func (d Deletions) validPhase(data, scope string) (phase string, ok bool) {
	l, ok := parseLine(data, recordVersion, 1)
	if !ok || l.rest[0] != hash(scope) {
		return "", false
	}
	age := d.Boot() - l.at
	return l.phase, age >= 0 && age < maxAge
}

// Complete reports whether an attachment's record is complete in a scope. It changes nothing.
func (d Deletions) Complete(k Key, plugin Plugin, scope string) bool {
	data, err := safeopen.Read(k.path(d.Dir, plugin))
	if err != nil {
		return false
	}
	phase, ok := d.validPhase(string(data), scope)
	return ok && phase == phaseComplete
}

// Has reports whether any plugin has a record of the attachment, complete or not. It returns true if that cannot be
// determined.
func (d Deletions) Has(k Key) bool {
	for _, plugin := range plugins {
		if _, err := os.Lstat(k.path(d.Dir, plugin)); !hostdir.Absent(err) {
			return true
		}
	}
	return false
}

// Remove removes all plugins' records of an attachment. An ADD calls it and must fail if it fails: otherwise a later
// DEL would treat the new allocation as released.
func (d Deletions) Remove(k Key) error {
	for _, plugin := range plugins {
		if err := os.Remove(k.path(d.Dir, plugin)); err != nil && !hostdir.Absent(err) {
			return fmt.Errorf("remove record of an earlier deletion: %w", hostdir.Explain(d.Dir, err))
		}
	}
	return nil
}

// Complete reports whether an earlier DEL has released everything that the attachment had, and no ADD has begun since.
func (r *DeletionRecord) Complete() bool { return r != nil && r.complete }

// Released reports whether an earlier DEL has released everything that certainly belonged to the attachment, and no ADD
// has begun since. Another attachment may still hold addresses under the same handle.
func (r *DeletionRecord) Released() bool { return r != nil && r.released }

// Current reports whether no ADD of the attachment has begun since Open, as far as that is recorded.
func (r *DeletionRecord) Current() bool { return r == nil || isCurrent(r.file) }

// SetReleased records that everything that certainly belonged to the attachment is released. It has no effect if an ADD
// has begun since Open.
func (r *DeletionRecord) SetReleased() error { return r.setPhase(phaseReleased) }

// SetComplete records that the attachment has nothing left. It has no effect if an ADD has begun since Open.
func (r *DeletionRecord) SetComplete() error { return r.setPhase(phaseComplete) }

// Close closes the record. The file stays.
func (r *DeletionRecord) Close() {
	if r != nil {
		_ = r.file.Close()
	}
}

func (r *DeletionRecord) setPhase(phase string) error {
	if r == nil {
		return nil
	}
	text := line{recordVersion, fmt.Sprintf("%-8s", phase), r.boot(), []string{r.scope}}.String()
	if _, err := r.file.WriteAt([]byte(text), 0); err != nil {
		return fmt.Errorf("record deletion: %w", err)
	}
	return nil
}
