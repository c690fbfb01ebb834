// SPDX-License-Identifier: Apache-2.0

package nodestate

import (
	"os"
	"strconv"
	"strings"
	"time"
)

// markVersion is the format of a mark: a line with the fields of a mark after its time.
const markVersion = "1"

// The phases of a mark.
const (
	phaseAdding    = "adding"
	phaseSucceeded = "succeeded"
	phaseFailed    = "failed"
)

// mark is the content of a mark. The process ID tells the marks of concurrent ADDs apart.
type mark struct {
	phase string
	at    time.Duration
	pid   int
	key   Key
}

func (m mark) String() string {
	rest := []string{strconv.Itoa(m.pid), m.key.Network, m.key.ContainerID, m.key.IfName}
	return line{markVersion, m.phase, m.at, rest}.String()
}

func parseMark(data string) (m mark, ok bool) {
	l, ok := parseLine(data, markVersion, 4)
	if !ok {
		return m, false
	}
	pid, err := strconv.Atoi(l.rest[0])
	return mark{l.phase, l.at, pid, Key{l.rest[1], l.rest[2], l.rest[3]}}, err == nil
}

// isNewer reports whether a mark has a newer version than this package writes.
func isNewer(data string) bool {
	number, _, _ := strings.Cut(data, " ")
	v, err := strconv.Atoi(number)
	known, _ := strconv.Atoi(markVersion)
	return err == nil && v > known
}

// writeMark replaces the content. Between its two calls a reader finds a torn mark, which counts as Interrupted.
func writeMark(f *os.File, m mark) error {
	text := m.String()
	if _, err := f.WriteAt([]byte(text), 0); err != nil {
		return err
	}
	return f.Truncate(int64(len(text)))
}
