// SPDX-License-Identifier: Apache-2.0

package nodestate_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"calico-cni/internal/bootclock"
	"calico-cni/internal/nodestate"
)

const envDir = "NODESTATE_TEST_DIR"

var testKey = nodestate.Key{Network: "net", ContainerID: "c", IfName: "eth0"}

// TestMain also runs as another process, whose ADD does not end until it is killed.
func TestMain(m *testing.M) {
	dir := os.Getenv(envDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	if _, err := marksIn(dir).Begin(testKey, nodestate.Main); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("begun")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func marksIn(dir string) nodestate.Marks { return nodestate.Marks{Dir: dir, Boot: bootclock.Now} }

// clocked returns marks with a clock that the test sets.
func clocked(t *testing.T) (marks nodestate.Marks, clock *time.Duration) {
	t.Helper()
	clock = new(time.Duration)
	*clock = time.Hour
	return nodestate.Marks{
		Dir:  filepath.Join(t.TempDir(), "run", "adding"),
		Boot: func() time.Duration { return *clock },
	}, clock
}

func begin(t *testing.T, marks nodestate.Marks) (end func(succeeded bool)) {
	t.Helper()
	end, err := marks.Begin(testKey, nodestate.Main)
	if err != nil {
		t.Fatal(err)
	}
	return end
}

func expect(t *testing.T, when string, marks nodestate.Marks, want nodestate.MarkState) {
	t.Helper()
	if got := marks.State(testKey); got != want {
		t.Errorf("%s: state %s, want %s", when, got, want)
	}
}

func TestSinceCoversRunningAndRecentAdds(t *testing.T) {
	for _, succeeded := range []bool{true, false} {
		marks, clock := clocked(t)
		began := *clock
		check := func(when string, k nodestate.Key, start time.Duration, want bool) {
			t.Helper()
			if got := marks.Since(k, start); got != want {
				t.Errorf("succeeded %t, %s: since %t, want %t", succeeded, when, got, want)
			}
		}
		check("no ADD", testKey, began-time.Minute, false)
		end := begin(t, marks)
		check("running since before the start", testKey, began+time.Hour, true)
		check("another interface", nodestate.Key{Network: "net", ContainerID: "c", IfName: "eth1"}, began-time.Minute, false)
		*clock += time.Minute
		ended := *clock
		end(succeeded)
		check("ended before the start", testKey, ended+1, false)
		check("began before the start and ended at the start", testKey, ended, true)
		check("began at the start and ended later", testKey, began, true)
		*clock = began - time.Minute
		check("ended in an earlier boot", testKey, *clock, false)
		marks.Forget(testKey, nodestate.Main)
		check("removed", testKey, began, false)
	}
}

func TestStateFollowsAdd(t *testing.T) {
	marks, _ := clocked(t)
	expect(t, "no ADD", marks, nodestate.Unmarked)
	end := begin(t, marks)
	expect(t, "running", marks, nodestate.Active)
	marks.Forget(testKey, nodestate.Main)
	expect(t, "running, after Forget by a DEL", marks, nodestate.Active)
	end(true)
	expect(t, "succeeded", marks, nodestate.Succeeded)
	begin(t, marks)(true)
	expect(t, "succeeded twice", marks, nodestate.Succeeded)
	begin(t, marks)(false)
	expect(t, "failed", marks, nodestate.Interrupted)
	begin(t, marks)(true)
	expect(t, "failed, then succeeded", marks, nodestate.Interrupted)
	marks.Forget(testKey, nodestate.Main)
	expect(t, "removed", marks, nodestate.Unmarked)
}

func TestConcurrentAddsNeverCountAsSucceeded(t *testing.T) {
	marks, _ := clocked(t)
	first, second := begin(t, marks), begin(t, marks)
	first(true)
	expect(t, "the second is running", marks, nodestate.Active)
	second(true)
	expect(t, "both have ended", marks, nodestate.Interrupted)
}

func TestMarksOfOtherVersionsAreInterrupted(t *testing.T) {
	for name, data := range map[string]string{
		"empty": "", "torn": "1 succeeded 0000", "version 2": "2 succeeded 00000000000000000007 1 net c eth0\n",
	} {
		marks, _ := clocked(t)
		begin(t, marks)(true)
		files, err := filepath.Glob(filepath.Join(marks.Dir, "*"))
		if err != nil || len(files) != 1 {
			t.Fatal(files, err)
		}
		if err := os.WriteFile(files[0], []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		expect(t, name, marks, nodestate.Interrupted)
		begin(t, marks)(true)
		expect(t, name+", then an ADD", marks, nodestate.Interrupted)
	}
}

func TestKilledAddIsInterrupted(t *testing.T) {
	dir := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), envDir+"="+dir)
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	later := bootclock.Now() + time.Hour
	if !marksIn(dir).Since(testKey, later) {
		t.Error("no mark while another process adds the attachment")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if marksIn(dir).Since(testKey, later) {
		t.Error("running although the process was killed")
	}
	expect(t, "killed", marksIn(dir), nodestate.Interrupted)
}

// TestMarkIsNeverLostToForget begins ADDs while DELs remove the mark: each running ADD has a mark.
func TestMarkIsNeverLostToForget(t *testing.T) {
	marks := marksIn(t.TempDir())
	stop := make(chan struct{})
	var deleting sync.WaitGroup
	deleting.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				marks.Forget(testKey, nodestate.Main)
			}
		}
	})
	for range 2000 {
		end := begin(t, marks)
		expect(t, "during Forget", marks, nodestate.Active)
		end(true)
	}
	close(stop)
	deleting.Wait()
}
