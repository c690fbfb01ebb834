// SPDX-License-Identifier: Apache-2.0

package adding

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// version is the format of a mark: "<version> <phase> <time since boot in ns> <process> <network> <container ID>
// <interface>", and a newline. Version 1 did not name the attachment.
const version = 2

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
	// key names the attachment.
	key Key
}

func (c content) String() string {
	return fmt.Sprintf("%d %s %020d %d %s %s %s\n",
		version, c.phase, int64(c.at), c.pid, c.key.Network, c.key.ContainerID, c.key.IfName)
}

// parse returns false for what is torn, empty, or of another version. The names have no spaces: the CNI specification
// forbids them in networks and containers, the kernel in interfaces.
func parse(data string) (c content, ok bool) {
	line, whole := strings.CutSuffix(data, "\n")
	fields := strings.Split(line, " ")
	if !whole || len(fields) != 7 || fields[0] != strconv.Itoa(version) {
		return c, false
	}
	at, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil {
		return c, false
	}
	c = content{phase: fields[1], at: time.Duration(at), key: Key{fields[4], fields[5], fields[6]}}
	c.pid, err = strconv.Atoi(fields[3])
	return c, err == nil
}

// later reports whether a later version of this package wrote a mark.
func later(data string) bool {
	number, _, _ := strings.Cut(data, " ")
	v, err := strconv.Atoi(number)
	return err == nil && v > version
}

// read returns the content, empty when it cannot be read.
func read(f *os.File) string {
	data, _ := io.ReadAll(io.NewSectionReader(f, 0, 4096))
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
