package adding_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"calico-cni/internal/adding"
)

const envDir = "ADDING_TEST_DIR"

var key = adding.Key{Network: "net", ContainerID: "c", IfName: "eth0"}

// TestMain plays another process that begins to add and never ends by itself.
func TestMain(m *testing.M) {
	dir := os.Getenv(envDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	if _, err := adding.Marks(dir).Begin(key, time.Now); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("begun")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func TestAnAttachmentIsSparedWhileItIsAddedAndWhenItBeganAfterTheStart(t *testing.T) {
	marks := adding.Marks(filepath.Join(t.TempDir(), "run", "adding"))
	began := time.Now()
	check := func(when string, k adding.Key, start time.Time, want bool) {
		t.Helper()
		if got := marks.Since(k, start); got != want {
			t.Errorf("%s: spared %t, want %t", when, got, want)
		}
	}
	check("never begun", key, began.Add(-time.Hour), false)
	ended := began.Add(time.Minute)
	clock := began
	end, err := marks.Begin(key, func() time.Time { return clock })
	if err != nil {
		t.Fatal(err)
	}
	check("begun before the start, not ended", key, began.Add(time.Hour), true)
	check("another interface", adding.Key{Network: "net", ContainerID: "c", IfName: "eth1"}, began.Add(-time.Hour), false)
	clock = ended
	end()
	check("ended before the start", key, ended.Add(time.Second), false)
	check("begun before the start, ended since", key, ended, true)
	check("begun at the start, ended since", key, began, true)
	marks.Forget(key)
	check("forgotten", key, began, false)
}

func TestAKilledProcessAddsNoMore(t *testing.T) {
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
	later := time.Now().Add(time.Hour)
	if !adding.Marks(dir).Since(key, later) {
		t.Error("not spared while another process adds it")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if adding.Marks(dir).Since(key, later) {
		t.Error("spared although its process was killed")
	}
}
