// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"flag"
	"fmt"
	"hash/fnv"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// shard is the part of the tests that this process runs: those with number i modulo n. E2E_SHARDS sets n, the number of
// concurrent sandboxes, each with its own API server and node.
type shard struct{ i, n int }

// part is the shard of this process.
var part = shard{0, 1}

// split are tests that every shard runs. They divide their cases with has.
var split = []string{"TestDelCleansUpAfterAnyRequestFault"}

// shards returns the requested number of sandboxes.
func shards() (int, error) {
	s := os.Getenv("E2E_SHARDS")
	if s == "" {
		return 1, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("read E2E_SHARDS: %q is not a positive number", s)
	}
	return n, nil
}

// enterShard reads the part of this process from E2E_SHARD, and makes the testing package skip the tests of the others.
func enterShard() error {
	if _, err := fmt.Sscanf(os.Getenv("E2E_SHARD"), "%d/%d", &part.i, &part.n); err != nil {
		return nil //nolint:nilerr // Without the variable there is one shard.
	}
	names, err := testNames()
	if err != nil {
		return err
	}
	var skip []string
	if s := flag.Lookup("test.skip").Value.String(); s != "" {
		skip = append(skip, s)
	}
	for _, name := range names {
		if !part.hasTest(name) {
			skip = append(skip, "^"+regexp.QuoteMeta(name)+"$")
		}
	}
	return flag.Set("test.skip", strings.Join(skip, "|"))
}

func (s shard) hasTest(name string) bool {
	for _, shared := range split {
		if name == shared {
			return true
		}
	}
	h := fnv.New32a()
	h.Write([]byte(name))
	return s.has(int(h.Sum32() >> 1))
}

// has reports whether the shard runs case number k.
func (s shard) has(k int) bool { return k%s.n == s.i }

// testNames runs this program to list its tests.
func testNames() ([]string, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	out, err := exec.Command(program, "-test.list", ".").Output()
	if err != nil {
		return nil, fmt.Errorf("list tests: %w", err)
	}
	return strings.Fields(string(bytes.TrimSpace(out))), nil
}
