// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// orphanEnv makes the test binary a parent that starts a child and never ends.
const orphanEnv = "APISERVER_TEST_ORPHAN"

func init() {
	if os.Getenv(orphanEnv) == "" {
		return
	}
	cmd := exec.Command("sleep", "infinity")
	cmd.Stdout = os.Stdout
	if _, err := startChild(cmd, ""); err != nil {
		panic(err)
	}
	fmt.Println(cmd.Process.Pid)
	select {}
}

func TestChildEndsWithItsParent(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), orphanEnv+"=1")
	parent.Stdout = w
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	// Prevents a hang if the test fails.
	if err := r.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	stdout := bufio.NewReader(r)
	var pid int
	if _, err := fmt.Fscanln(stdout, &pid); err != nil {
		t.Fatal(err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	// Parent and child write to the pipe, so it ends when both have ended.
	if _, err := io.Copy(io.Discard, stdout); err != nil {
		t.Errorf("child %d outlives its parent: %v", pid, err)
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

func TestChildOutlivesThreadOfCaller(t *testing.T) {
	in, stdin, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("cat")
	cmd.Stdin, cmd.Stdout = in, out
	var child *child
	thread := make(chan int)
	go offMainThread(func() {
		child, err = startChild(cmd, "")
		thread <- unix.Gettid()
	})
	task := fmt.Sprintf("/proc/self/task/%d", <-thread)
	if err != nil {
		t.Fatal(err)
	}
	for exists(task) {
		runtime.Gosched()
	}
	in.Close()
	out.Close()
	if _, err := io.WriteString(stdin, "alive\n"); err != nil {
		t.Fatal(err)
	}
	stdin.Close()
	if got, _ := io.ReadAll(stdout); string(got) != "alive\n" {
		t.Errorf("child says %q, want alive", got)
	}
	<-child.ended
	if state := cmd.ProcessState.String(); !strings.Contains(state, "exit status 0") {
		t.Errorf("child ended with %s, want exit status 0", state)
	}
}

// offMainThread runs f on a thread that ends after it. The main thread never ends, so f does not run on it.
func offMainThread(f func()) {
	runtime.LockOSThread()
	if unix.Gettid() != os.Getpid() {
		// Not unlocked: the thread ends with the goroutine.
		f()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		offMainThread(f)
	}()
	<-done
	runtime.UnlockOSThread()
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
