// SPDX-License-Identifier: Apache-2.0

package nodestate

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"calico-cni/internal/atomicfile"
	"calico-cni/internal/safeopen"
)

// keepMarks is how long a mark stays for a DEL that may follow: longer than a request of its ADD can take.
const keepMarks = 10 * time.Minute

// unknown is the attachment of a mark that could not be read.
var unknown = Key{"-", "-", "-"}

// Sweep removes the marks of a network that are older than ten minutes, have no running ADD, and whose attachment is
// not live. A killed ADD leaves such a mark if no DEL follows. A mark that cannot be read, for example because its
// writer was killed, is removed ten minutes after a Sweep has found it. A mark of a newer version stays.
func (m Marks) Sweep(network string, live func(Key) bool) {
	for _, path := range paths(m.Dir) {
		data, err := safeopen.Read(path)
		if err != nil {
			continue
		}
		content := string(data)
		switch c, ok := parseMark(content); {
		case isNewer(content):
		case !ok:
			m.date(path, content)
		case c.key.Network != network && c.key != unknown, m.Boot()-c.at < keepMarks && c.at <= m.Boot():
		case c.key == unknown || !live(c.key):
			withIdle(path, func(f *os.File) {
				// An ADD may have begun since.
				if contentOf(f) == content {
					_ = os.Remove(path)
				}
			})
		}
	}
}

// date gives a mark that cannot be read a time, unless it has changed or its ADD is running.
func (m Marks) date(path, content string) {
	withIdle(path, func(f *os.File) {
		if contentOf(f) == content {
			_ = writeMark(f, mark{phase: phaseFailed, at: m.Boot(), pid: os.Getpid(), key: unknown})
		}
	})
}

const (
	// sweepInterval is how often old records are removed, maxRecords how many may stay.
	sweepInterval = time.Minute
	maxRecords    = 4096
	// sweepStamp holds the time of the last removal.
	sweepStamp = ".swept"
)

// removeExpired removes expired records, at most once a minute. If there are too many, it removes all complete ones:
// they only save requests, but a running DEL may be using one that is not complete.
func (d Deletions) removeExpired() {
	now := d.Boot()
	stamp := filepath.Join(d.Dir, sweepStamp)
	data, _ := safeopen.Read(stamp)
	last, err := strconv.ParseInt(string(data), 10, 64)
	if err == nil && now >= time.Duration(last) && now-time.Duration(last) < sweepInterval {
		return
	}
	if safeopen.WriteFile(stamp, strconv.AppendInt(nil, int64(now), 10), 0o600) != nil {
		return
	}
	all := paths(d.Dir)
	for _, path := range all {
		data, err := safeopen.Read(path)
		// A record without content is being written.
		if path == stamp || err != nil || len(data) == 0 {
			continue
		}
		l, ok := parseLine(string(data), recordVersion, 1)
		if !ok || l.at > now || now-l.at >= 2*maxAge || len(all) > maxRecords && l.phase == phaseComplete {
			_ = os.Remove(path)
		}
	}
}

// removeOld removes the files of blocks that were not written for a day, those that this version cannot read, and
// temporary files of killed writers. A running writer whose temporary file is removed loses its write, which costs one
// read.
func (b BlockFiles) removeOld() {
	_ = atomicfile.SweepAll(b.Dir)
	for _, path := range paths(b.Dir) {
		if !strings.HasSuffix(path, blockSuffix) {
			continue
		}
		data, err := safeopen.Read(path)
		if _, age, ok := b.parse(data); err == nil && (!ok || age > keepBlocks) {
			_ = os.Remove(path)
		}
	}
}
