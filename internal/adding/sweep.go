// SPDX-License-Identifier: Apache-2.0

package adding

import (
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"calico-cni/internal/safeopen"
)

// keep is how long a mark stays for a DEL that may still come: longer than any request of its ADD can be under way.
const keep = 10 * time.Minute

// Ended returns the attachments of a network whose marks have no running ADD.
func (m Marks) Ended(network string) (keys []Key) {
	seen := map[Key]bool{}
	m.each(func(path, data string) {
		c, ok := parse(data)
		if !ok || c.key.Network != network || seen[c.key] {
			return
		}
		if m.State(c.key) != Active {
			keys = append(keys, c.key)
		}
		seen[c.key] = true
	})
	return keys
}

// Sweep removes the marks of a network that are older than ten minutes, have no running ADD, and whose attachment is
// not live. An ADD that was killed leaves such a mark if no DEL follows. What cannot be read, as a mark that its writer
// was killed in, is removed ten minutes after a Sweep has found it; a mark of a later version stays.
func (m Marks) Sweep(network string, live func(Key) bool) {
	m.each(func(path, data string) {
		switch c, ok := parse(data); {
		case later(data):
		case !ok:
			m.adopt(path, data)
		case c.key.Network != network && c.key.Network != unknown.Network, m.Boot()-c.at < keep && c.at <= m.Boot():
		case c.key == unknown || !live(c.key):
			// An ADD that has begun since has changed it.
			remove(path, func(now string) bool { return now == data })
		}
	})
}

// each calls f with the path and the content of each mark.
func (m Marks) each(f func(path, data string)) {
	entries, err := os.ReadDir(m.Dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		path := filepath.Join(m.Dir, e.Name())
		if data, err := safeopen.Read(path); err == nil {
			f(path, string(data))
		}
	}
}

// unknown stands for the attachment of a mark that could not be read.
var unknown = Key{"-", "-", "-"}

// adopt gives a mark that cannot be read a time, if it is still what was read and has no running ADD.
func (m Marks) adopt(path, data string) {
	f, _, err := safeopen.File(path, os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	if lock(f, unix.LOCK_EX|unix.LOCK_NB) == nil && current(f) && read(f) == data {
		_ = write(f, content{phase: phaseFailed, at: m.Boot(), pid: os.Getpid(), key: unknown})
	}
}
