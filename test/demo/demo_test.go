// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
)

// demo builds the program and returns a command that runs it. The mark identifies all processes that it starts.
func demo(t *testing.T, mark string) *exec.Cmd {
	t.Helper()
	program := filepath.Join(t.TempDir(), "demo")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	cmd := exec.Command(program, "-deploy", "../../deploy", "-pods", "3")
	cmd.Env = append(os.Environ(), "DEMO_MARK="+mark)
	return cmd
}

// hostState returns what a run must not change: links, mounts, and processes with the mark.
func hostState(t *testing.T, mark string) string {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	links, err := netlink.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	out := string(mounts)
	for _, l := range links {
		out += "link " + l.Attrs().Name + "\n"
	}
	environs, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range environs {
		if data, err := os.ReadFile(path); err == nil && strings.Contains(string(data), "DEMO_MARK="+mark) {
			out += "process " + filepath.Base(filepath.Dir(path)) + "\n"
		}
	}
	return out
}

func TestDemoLeavesNothing(t *testing.T) {
	mark := fmt.Sprint(os.Getpid(), "-whole")
	before := hostState(t, mark)
	out, err := demo(t, mark).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "success after") {
		t.Fatalf("%v\n%s", err, out)
	}
	if diff := cmp.Diff(before, hostState(t, mark)); diff != "" {
		t.Errorf("the host has changed:\n%s", diff)
	}
}

func TestInterruptedDemoLeavesNothing(t *testing.T) {
	for _, c := range []struct {
		signal syscall.Signal
		when   string
	}{
		{syscall.SIGINT, "starting a node"}, {syscall.SIGTERM, "pod-1 "}, {syscall.SIGKILL, "pod-1 "},
	} {
		t.Run(fmt.Sprintf("%v at %q", c.signal, c.when), func(t *testing.T) {
			mark := fmt.Sprint(os.Getpid(), "-", int(c.signal))
			before := hostState(t, mark)
			cmd := demo(t, mark)
			output := &watcher{want: c.when, seen: make(chan struct{})}
			cmd.Stdout = output
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			select {
			case <-output.seen:
			case err := <-ended:
				t.Fatalf("it ended before it printed %q: %v", c.when, err)
			}
			if err := cmd.Process.Signal(c.signal); err != nil {
				t.Fatal(err)
			}
			// ProcessState has the exit code.
			err := <-ended
			if code := cmd.ProcessState.ExitCode(); c.signal != syscall.SIGKILL && code != 130 {
				t.Errorf("exit code %d, want 130: %v", code, err)
			}
			// After the first process of a namespace has ended, the kernel takes a moment to end the others.
			var after string
			for range 100 {
				if after = hostState(t, mark); after == before {
					return
				}
				time.Sleep(100 * time.Millisecond)
			}
			t.Errorf("the host has changed:\n%s", cmp.Diff(before, after))
		})
	}
}

// watcher closes seen when a text has been written.
type watcher struct {
	want, got string
	seen      chan struct{}
	done      bool
}

// Write implements io.Writer.
func (w *watcher) Write(b []byte) (int, error) {
	if w.got += string(b); !w.done && strings.Contains(w.got, w.want) {
		w.done = true
		close(w.seen)
	}
	return len(b), nil
}
