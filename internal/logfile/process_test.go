// SPDX-License-Identifier: Apache-2.0

package logfile

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"calico-cni/internal/hostlock"
)

// The test binary runs itself as separate processes that log. These variables pass the file, its limits and the name.
const (
	envPath  = "LOGFILE_TEST_PATH"
	envSize  = "LOGFILE_TEST_SIZE"
	envCount = "LOGFILE_TEST_COUNT"
	envName  = "LOGFILE_TEST_NAME"
)

const (
	writers = 4
	lines   = 300
)

func TestMain(m *testing.M) {
	o := Options{Path: os.Getenv(envPath), Now: time.Now}
	if o.Path == "" {
		os.Exit(m.Run())
	}
	o.MaxSize, _ = strconv.ParseInt(os.Getenv(envSize), 10, 64)
	o.MaxCount, _ = strconv.Atoi(os.Getenv(envCount))
	for i := range lines {
		if _, err := Open(o).Write([]byte(line(os.Getenv(envName), i))); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// line returns a line of 20 to 120 bytes whose completeness can be checked.
func line(name string, i int) string {
	return fmt.Sprintf("<%s:%d:%s>\n", name, i, strings.Repeat("-", 10+i%100))
}

// inParallel runs the writers as processes and calls look repeatedly meanwhile.
func inParallel(t *testing.T, o Options, look func()) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for w := range writers {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), envPath+"="+o.Path, envSize+"="+fmt.Sprint(o.MaxSize),
			envCount+"="+fmt.Sprint(o.MaxCount), envName+"="+fmt.Sprint("w", w))
		cmd.Stderr = os.Stderr
		wg.Go(func() {
			if err := cmd.Run(); err != nil {
				t.Error(err)
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for {
		look()
		select {
		case <-done:
			return
		case <-time.After(time.Millisecond):
		}
	}
}

// look lists the files while it holds the lock, because a listing during renames is not consistent.
func look(t *testing.T, o Options) {
	t.Helper()
	if unlock, err := hostlock.Try(o.Path + ".lock"); err == nil {
		defer unlock()
		files(t, o)
	}
}

// files lists the log and its rotated files, oldest first. It fails if a file exceeds the size limit or if there are
// too many.
func files(t *testing.T, o Options) []string {
	t.Helper()
	// The names of rotated files sort by time, and before that of the log.
	paths, err := filepath.Glob(strings.TrimSuffix(o.Path, ".log") + "*.log")
	if err != nil {
		t.Fatal(err)
	}
	rotated := 0
	for _, path := range paths {
		if path != o.Path {
			rotated++
		}
		if info, err := os.Stat(path); err == nil && info.Size() > o.MaxSize {
			t.Fatalf("%s has %d bytes, the limit is %d", path, info.Size(), o.MaxSize)
		}
	}
	if o.MaxCount > 0 && rotated > o.MaxCount {
		t.Fatalf("%d rotated files, the limit is %d", rotated, o.MaxCount)
	}
	return paths
}

// numbers reads the lines of all files and returns each writer's numbers in order. A partial line fails the test.
func numbers(t *testing.T, paths []string) map[string][]int {
	t.Helper()
	found := map[string][]int{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for l := range strings.Lines(string(data)) {
			parts := strings.Split(l, ":")
			if len(parts) != 3 {
				t.Fatalf("%s: torn line %q", path, l)
			}
			name := strings.TrimPrefix(parts[0], "<")
			i, err := strconv.Atoi(parts[1])
			if err != nil || l != line(name, i) {
				t.Fatalf("%s: torn line %q", path, l)
			}
			found[name] = append(found[name], i)
		}
	}
	return found
}

func TestConcurrentRotationLosesNoLine(t *testing.T) {
	o := testOptions(t)
	o.MaxSize = 1000
	inParallel(t, o, func() { look(t, o) })
	found := numbers(t, files(t, o))
	for w := range writers {
		name := fmt.Sprint("w", w)
		for i := range lines {
			if len(found[name]) != lines || found[name][i] != i {
				t.Fatalf("%s wrote 0 to %d, but the files have %v", name, lines-1, found[name])
			}
		}
	}
}

func TestLimitsHoldDuringConcurrentRotation(t *testing.T) {
	o := testOptions(t)
	o.MaxSize, o.MaxCount = 1000, 3
	inParallel(t, o, func() { look(t, o) })
	paths := files(t, o)
	if len(paths) != o.MaxCount+1 {
		t.Errorf("files %v, want %d and the log", paths, o.MaxCount)
	}
	// The remaining lines are the last ones: without a gap for each writer, and including the very last line of one
	// writer.
	last := false
	for name, found := range numbers(t, paths) {
		for i, n := range found {
			if n != found[0]+i {
				t.Errorf("%s: a gap in %v", name, found)
			}
		}
		last = last || found[len(found)-1] == lines-1
	}
	if !last {
		t.Error("the last line of all is missing")
	}
}
