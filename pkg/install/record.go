package install

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"calico-cni/internal/atomicfile"
	"calico-cni/internal/buildinfo"
	"calico-cni/internal/jsonfault"
)

// recordName is the file in the configuration directory that says what was installed. No runtime reads a name like it.
const recordName = ".calico-cni.record"

// record says which files of the host are ours, so that uninstalling removes these and no other. A file is entered
// before it is written, beside what it was before: whenever a writer is killed, what is there is known.
type record struct {
	// Format is the version of the file's format, 1 when absent. Within a format fields may be added that a reader can do
	// without.
	Format int `json:"format,omitempty"`
	// Version of the installer that wrote last.
	Version string `json:"version"`
	// Files has the SHA-256 of what we wrote last, in hex, the newest last, by path below the host's root. There is more than
	// one because installers of several versions may be at work at once, and any of them may be killed.
	Files map[string][]string `json:"files"`
	// Versions says which version of the installer wrote what has a SHA-256. It is for binaries alone.
	Versions map[string]string `json:"versions,omitempty"`
	// Chained is the list that our plugin was added to, below the host's root.
	Chained string `json:"chained,omitempty"`
	// Unchain has lists that our plugin was added to before, and is still to be taken out of.
	Unchain []string `json:"unchain,omitempty"`
}

// recordFormat is the newest format that this version reads, and the one that it writes.
const recordFormat = 1

// loadRecord returns an empty record when there is none, or none that can be read: then no file is ours. An error wraps
// ErrNewerRecord when a later version wrote it, in a format that this one does not know.
func loadRecord(path string) (record, error) {
	r := record{Files: map[string][]string{}, Versions: map[string]string{}}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	var format struct {
		Format  int    `json:"format"`
		Version string `json:"version"`
	}
	// Before the rest, whose fields may mean something else there.
	if err == nil && json.Unmarshal(data, &format) == nil && format.Format > recordFormat {
		r.Version = format.Version
		return r, fmt.Errorf("%w: %s is of format %d, and was written by version %s", ErrNewerRecord, path, format.Format, format.Version)
	}
	if err == nil {
		err = jsonfault.Unmarshal(data, &r)
	}
	if err != nil || r.Files == nil {
		return record{Files: map[string][]string{}, Versions: map[string]string{}}, err
	}
	if r.Versions == nil {
		r.Versions = map[string]string{}
	}
	return r, nil
}

// owns says that a file holds what we wrote there.
func (r record) owns(name string, sum [32]byte) bool {
	return slices.Contains(r.Files[name], hex.EncodeToString(sum[:]))
}

// enter adds what a file is about to hold and says whether that was new.
func (r record) enter(name string, sum [32]byte) bool {
	if r.owns(name, sum) {
		return false
	}
	r.Files[name] = append(r.Files[name], hex.EncodeToString(sum[:]))
	return true
}

func (i *installer) recordPath() string { return filepath.Join(i.cfg.netDir(), recordName) }

// name returns the path of a file below the host's root, as the record has it.
func (i *installer) name(path string) string {
	name, err := filepath.Rel(i.cfg.HostRoot, path)
	if err != nil {
		return path
	}
	return name
}

// remember loads the record, once: what this process wrote is not forgotten when somebody removes the file.
func (i *installer) remember() {
	if i.record.Files != nil {
		return
	}
	var err error
	i.record, err = loadRecord(i.recordPath())
	if errors.Is(err, ErrNewerRecord) {
		i.deps.Log.Warn("the record of what was installed is kept as it is, and files that change now are not entered: uninstall with the newer version", "error", err)
		return
	}
	if err != nil {
		i.deps.Log.Warn("the record of what was installed cannot be read; earlier files count as somebody else's", "path", i.recordPath(), "error", err)
	}
}

// put makes a file hold data, and enters it in the record before.
func (i *installer) put(path string, data []byte, mode fs.FileMode, checks ...atomicfile.Check) (written bool, err error) {
	same, err := atomicfile.Holds(path, bytes.NewReader(data), mode)
	if same || err != nil {
		return false, err
	}
	if i.record.enter(i.name(path), sha256.Sum256(data)) {
		if err := i.save(); err != nil {
			return false, err
		}
	}
	return atomicfile.WriteFile(path, data, mode, checks...)
}

// kept is how many of the last sums of a file are kept: no more installers than that work at once.
const kept = 8

// save writes the record together with what others have entered since it was read. A record of a newer format stays.
func (i *installer) save() error {
	unlock, err := lockDir(i.cfg.netDir())
	if err != nil {
		return fmt.Errorf("lock %s: %w", i.cfg.netDir(), err)
	}
	defer unlock()
	switch others, err := loadRecord(i.recordPath()); {
	case errors.Is(err, ErrNewerRecord):
		return nil
	case err == nil:
		i.record.merge(others)
	}
	i.record.Format, i.record.Version = recordFormat, buildinfo.Version
	data, err := json.MarshalIndent(i.record, "", "  ")
	if err != nil {
		return fmt.Errorf("encode record: %w", err)
	}
	_, err = atomicfile.WriteFile(i.recordPath(), append(data, '\n'), fileMode)
	return err
}

// merge puts what others have entered before our own, and forgets the oldest.
func (r record) merge(others record) {
	for name, sums := range others.Files {
		ours := r.Files[name]
		theirs := slices.DeleteFunc(slices.Clone(sums), func(sum string) bool { return slices.Contains(ours, sum) })
		r.Files[name] = slices.Concat(theirs, ours)
	}
	for name, sums := range r.Files {
		r.Files[name] = sums[max(0, len(sums)-kept):]
	}
	maps.Copy(r.Versions, others.Versions)
	all := slices.Concat(slices.Collect(maps.Values(r.Files))...)
	maps.DeleteFunc(r.Versions, func(sum, _ string) bool { return !slices.Contains(all, sum) })
}

// lockDir keeps other installers from the record. The kernel unlocks when the process ends, however it does.
func lockDir(path string) (unlock func(), err error) {
	dir, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return func() { _ = dir.Close() }, nil
}
