// Package adding marks the attachments that ADDs of this host work on. A mark is a file, locked while the ADD runs.
//
// A collection of leftovers, which is another process, spares a marked attachment. CNI forbids a runtime to run both at
// once (specification 1.1.0, section 2, "GC"), but a mistake would cost a running pod its address. A DEL reads from the
// mark whether the attachment may still change behind its back.
package adding

import (
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"calico-cni/internal/safeopen"
)

// Marks are the marks of a host.
type Marks struct {
	// Dir holds one file per attachment. It need not outlive a reboot.
	Dir string
	// Boot is the time since boot.
	Boot func() time.Duration
}

// Key names an attachment.
type Key struct{ Network, ContainerID, IfName string }

// State is what a mark says about the last ADD of an attachment.
type State string

// The states. A mark whose ADD was killed, or that another version of this package wrote, counts as Interrupted.
const (
	// None: there is no mark.
	None State = "none"
	// Active: an ADD is running.
	Active State = "active"
	// Succeeded: all ADDs since the mark was made have succeeded.
	Succeeded State = "succeeded"
	// Interrupted: an ADD has failed or was killed. A request of it may still take effect.
	Interrupted State = "interrupted"
)

// version is the format of a mark: "<version> <phase> <time since boot in ns> <process>", and a newline.
const version = "1"

// The phases in a mark.
const (
	phaseAdding    = "adding"
	phaseSucceeded = "succeeded"
	phaseFailed    = "failed"
)

// content is what a mark holds.
type content struct {
	phase string
	at    time.Duration
	pid   int
}

func (c content) String() string {
	return fmt.Sprintf("%s %s %020d %d\n", version, c.phase, int64(c.at), c.pid)
}

// parse returns false for what is torn, empty, or of another version.
func parse(data string) (c content, ok bool) {
	fields := strings.Split(data, " ")
	if len(fields) != 4 || fields[0] != version {
		return c, false
	}
	at, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil {
		return c, false
	}
	pid, found := strings.CutSuffix(fields[3], "\n")
	c = content{phase: fields[1], at: time.Duration(at)}
	c.pid, err = strconv.Atoi(pid)
	return c, found && err == nil
}

// Begin marks an attachment as being added until end is called or the process ends. The mark stays until Forget; end notes
// in it when, and whether, the ADD succeeded. After an ADD that did not, no later one makes the mark Succeeded.
func (m Marks) Begin(k Key) (end func(succeeded bool), err error) {
	if err := os.MkdirAll(m.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("mark attachment as being added: %w", err)
	}
	f, made, err := m.open(k)
	if err != nil {
		return nil, fmt.Errorf("mark attachment as being added: %w", err)
	}
	before, ok := parse(read(f))
	clean := made || ok && before.phase == phaseSucceeded
	mine := content{phase: phaseAdding, at: m.Boot(), pid: os.Getpid()}
	if err := write(f, mine); err != nil {
		return nil, errors.Join(fmt.Errorf("mark attachment as being added: %w", err), f.Close())
	}
	return func(succeeded bool) {
		done := content{phase: phaseFailed, at: m.Boot(), pid: mine.pid}
		// Another ADD of the attachment, which a runtime should not run at the same time, has replaced the content.
		if succeeded && clean && read(f) == mine.String() {
			done.phase = phaseSucceeded
		}
		// Written while it is locked: a reader sees either the lock or the time.
		_ = errors.Join(write(f, done), f.Close())
	}, nil
}

// open opens and locks the mark. The lock is shared, so that two ADDs of one attachment do not wait for each other.
func (m Marks) open(k Key) (f *os.File, made bool, err error) {
	for {
		f, _, err := safeopen.File(m.path(k), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		made := err == nil
		if errors.Is(err, os.ErrExist) {
			f, _, err = safeopen.File(m.path(k), os.O_RDWR|os.O_CREATE, 0o600)
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
		// Forget removed it before it was locked.
		_ = f.Close()
	}
}

// Forget removes the mark of an attachment that is gone, unless an ADD is running.
func (m Marks) Forget(k Key) {
	f, _, err := safeopen.File(m.path(k), os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	if lock(f, unix.LOCK_EX|unix.LOCK_NB) == nil && current(f) {
		_ = os.Remove(f.Name())
	}
}

// State returns what the mark of an attachment says. A mark that cannot be read counts as Active.
func (m Marks) State(k Key) State {
	state, _ := m.look(k)
	return state
}

// Since reports whether an ADD of the attachment is running, or was at or after start, a time since boot.
func (m Marks) Since(k Key, start time.Duration) bool {
	state, at := m.look(k)
	return state == Active || state != None && at >= start
}

// look returns the state, and when the last ADD ended; 0 where that is unknown.
func (m Marks) look(k Key) (State, time.Duration) {
	f, _, err := safeopen.File(m.path(k), os.O_RDWR, 0)
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

// read returns the content, empty when it cannot be read.
func read(f *os.File) string {
	data, _ := io.ReadAll(io.NewSectionReader(f, 0, 256))
	return string(data)
}

// write replaces the content. A reader that comes between both calls finds a torn mark, which counts as Interrupted.
func write(f *os.File, c content) error {
	text := c.String()
	if _, err := f.WriteAt([]byte(text), 0); err != nil {
		return err
	}
	return f.Truncate(int64(len(text)))
}

// path is a hash, for a network's name and a container's ID may each be as long as a file's name.
func (m Marks) path(k Key) string {
	sum := sha1.Sum([]byte(k.Network + "/" + k.ContainerID + "/" + k.IfName))
	return filepath.Join(m.Dir, hex.EncodeToString(sum[:]))
}
