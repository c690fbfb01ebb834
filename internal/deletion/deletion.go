// SPDX-License-Identifier: Apache-2.0

// Package deletion records on a node which attachments a DEL has released completely, so that a repeated DEL need not
// ask the API server again.
//
// A DEL opens the attachment's record before its first read, and completes it at its end. An ADD removes the record
// before its first request. A DEL writes through the descriptor that it opened: what it writes after an ADD has removed
// the record goes to a file that no process can open any more. The same tells a DEL whether an ADD has begun since.
package deletion

import (
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"calico-cni/internal/hostdir"
	"calico-cni/internal/safeopen"
)

const (
	// maxAge is for how long a complete record counts. A runtime repeats a DEL within seconds.
	maxAge = 10 * time.Minute
	// sweepEvery is how often old records are removed, maxRecords how many may stay.
	sweepEvery = time.Minute
	maxRecords = 4096
	// sweepStamp holds when records were last removed.
	sweepStamp = ".swept"
)

// version is the format of a record: "<version> <phase> <time since boot in ns> <scope>", and a newline.
const version = "1"

// The phases in a record.
const (
	phaseBegun    = "begun"
	phaseReleased = "released"
	phaseComplete = "complete"
)

// Plugin tells apart the records of plugins that run for the same attachment.
type Plugin string

// The plugins that record deletions.
const (
	Main Plugin = "main"
	IPAM Plugin = "ipam"
)

// Records are the records of a node.
type Records struct {
	// Dir must not outlive a reboot.
	Dir string
	// Boot is the time since boot.
	Boot func() time.Duration
}

// Key names an attachment.
type Key struct{ Network, ContainerID, IfName string }

// Record is the record of one attachment as a DEL has opened it. The nil Record is of a node that cannot record: it is
// never complete, and nothing is known of ADDs.
type Record struct {
	file               *os.File
	records            Records
	scope              string
	released, complete bool
}

// Open opens the record of an attachment, or makes one. scope says what else a DEL depends on, such as the cluster: a
// record that was completed in another scope does not count.
func (r Records) Open(k Key, plugin Plugin, scope string) (*Record, error) {
	path := r.path(k, plugin)
	f, _, err := safeopen.File(path, os.O_RDWR, 0)
	made := errors.Is(err, fs.ErrNotExist)
	if made {
		if err := hostdir.Make(r.Dir, 0o755); err != nil {
			return nil, fmt.Errorf("record deletion: %w", err)
		}
		f, _, err = safeopen.File(path, os.O_RDWR|os.O_CREATE, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("record deletion: %w", hostdir.Explain(r.Dir, err))
	}
	record := &Record{file: f, records: r, scope: hash(scope)}
	if made {
		if err := record.write(phaseBegun); err != nil {
			return nil, errors.Join(fmt.Errorf("record deletion: %w", err), f.Close())
		}
		r.sweep()
		return record, nil
	}
	if phase, ok := r.counts(read(f), record.scope); ok {
		record.complete = phase == phaseComplete
		record.released = record.complete || phase == phaseReleased
		return record, nil
	}
	// It counts no more: from here on it is this DEL's, so that no sweep takes it for an old one.
	if err := record.write(phaseBegun); err != nil {
		return nil, errors.Join(fmt.Errorf("record deletion: %w", err), f.Close())
	}
	return record, nil
}

// counts returns the phase in a record's content, if that was written in a scope within the last ten minutes.
func (r Records) counts(data, scope string) (phase string, ok bool) {
	c, ok := parse(data)
	age := r.Boot() - c.at
	return c.phase, ok && c.scope == scope && age >= 0 && age < maxAge
}

// Complete reports whether an attachment's record is complete in a scope. It changes nothing.
func (r Records) Complete(k Key, plugin Plugin, scope string) bool {
	data, err := safeopen.Read(r.path(k, plugin))
	if err != nil {
		return false
	}
	phase, ok := r.counts(string(data), hash(scope))
	return ok && phase == phaseComplete
}

// Complete reports whether an earlier DEL has released all that the attachment had, and no ADD has begun since.
func (r *Record) Complete() bool { return r != nil && r.complete }

// Released reports whether an earlier DEL has released what was certainly the attachment's, and no ADD has begun since.
// Others may hold something by the same handle.
func (r *Record) Released() bool { return r != nil && r.released }

// Current reports whether no ADD of the attachment has begun since Open, as far as that is recorded.
func (r *Record) Current() bool {
	if r == nil {
		return true
	}
	opened, err := r.file.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(r.file.Name())
	return err == nil && os.SameFile(opened, there)
}

// SetReleased notes that what was certainly the attachment's is released. It has no effect when an ADD has begun since
// Open.
func (r *Record) SetReleased() error {
	if r == nil {
		return nil
	}
	if err := r.write(phaseReleased); err != nil {
		return fmt.Errorf("record deletion: %w", err)
	}
	return nil
}

// SetComplete notes that the attachment has nothing left. It has no effect when an ADD has begun since Open.
func (r *Record) SetComplete() error {
	if r == nil {
		return nil
	}
	if err := r.write(phaseComplete); err != nil {
		return fmt.Errorf("record deletion: %w", err)
	}
	return nil
}

// Close gives up the record. It stays on disk.
func (r *Record) Close() {
	if r != nil {
		_ = r.file.Close()
	}
}

func (r *Record) write(phase string) error {
	text := content{phase, r.records.Boot(), r.scope}.String()
	_, err := r.file.WriteAt([]byte(text), 0)
	return err
}

// Has reports whether any plugin has a record of the attachment, complete or not, or that this cannot be determined.
func (r Records) Has(k Key) bool {
	for _, plugin := range []Plugin{Main, IPAM} {
		if _, err := os.Lstat(r.path(k, plugin)); !hostdir.Absent(err) {
			return true
		}
	}
	return false
}

// Remove removes the records of an attachment that is being added, those of all plugins. An ADD that cannot remove them
// must not go on: a later DEL would take its allocation for released.
func (r Records) Remove(k Key) error {
	for _, plugin := range []Plugin{Main, IPAM} {
		if err := os.Remove(r.path(k, plugin)); err != nil && !hostdir.Absent(err) {
			return fmt.Errorf("remove record of an earlier deletion: %w", hostdir.Explain(r.Dir, err))
		}
	}
	return nil
}

// sweep removes, once a minute, the records that count no more. When there are too many it removes all complete ones:
// they only save work, while a DEL may still be using one that is not complete.
func (r Records) sweep() {
	now := r.Boot()
	stamp := filepath.Join(r.Dir, sweepStamp)
	data, _ := safeopen.Read(stamp)
	last, err := strconv.ParseInt(string(data), 10, 64)
	if err == nil && now >= time.Duration(last) && now-time.Duration(last) < sweepEvery {
		return
	}
	if safeopen.WriteFile(stamp, strconv.AppendInt(nil, int64(now), 10), 0o600) != nil {
		return
	}
	entries, err := os.ReadDir(r.Dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		path := filepath.Join(r.Dir, e.Name())
		if e.Name() == sweepStamp {
			continue
		}
		data, err := safeopen.Read(path)
		c, ok := parse(string(data))
		expired := !ok || c.at > now || now-c.at >= 2*maxAge || len(entries) > maxRecords && c.phase == phaseComplete
		// A record without content is being written.
		if err == nil && len(data) > 0 && expired {
			_ = os.Remove(path)
		}
	}
}

// content is what a record holds. Its length is the same in each phase, so that one write replaces it whole.
type content struct {
	phase string
	at    time.Duration
	scope string
}

func (c content) String() string {
	return fmt.Sprintf("%s %-8s %020d %s\n", version, c.phase, int64(c.at), c.scope)
}

// parse returns false for what is torn, empty, or of another version.
func parse(data string) (c content, ok bool) {
	fields := strings.Fields(data)
	if len(fields) != 4 || fields[0] != version || !strings.HasSuffix(data, "\n") {
		return c, false
	}
	at, err := strconv.ParseInt(fields[2], 10, 64)
	return content{fields[1], time.Duration(at), fields[3]}, err == nil && len(fields[3]) == len(hash(""))
}

func read(f *os.File) string {
	data, _ := io.ReadAll(io.NewSectionReader(f, 0, 256))
	return string(data)
}

func hash(text string) string {
	sum := sha1.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

func (r Records) path(k Key, plugin Plugin) string {
	return filepath.Join(r.Dir, hash(k.Network+"/"+k.ContainerID+"/"+k.IfName)+"."+string(plugin))
}
