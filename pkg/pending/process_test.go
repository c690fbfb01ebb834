// SPDX-License-Identifier: Apache-2.0

package pending

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// The test binary runs itself as another process of the node. What it then does, and with which queue, is in these.
const (
	envRole = "PENDING_TEST_ROLE"
	envDir  = "PENDING_TEST_DIR"
	envName = "PENDING_TEST_NAME"
)

func TestMain(m *testing.M) {
	role := os.Getenv(envRole)
	if role == "" {
		os.Exit(m.Run())
	}
	q := Queue{Dir: os.Getenv(envDir), Now: time.Now}
	roles := map[string]func(Queue) error{"churn": churn, "drain": drain, "drain one by one": drainOneByOne, "fill": fill}
	if err := roles[role](q); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func self(t *testing.T, role string, q Queue, name string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), envRole+"="+role, envDir+"="+q.Dir, envName+"="+name)
	cmd.Stderr = os.Stderr
	return cmd
}

// churn adds and settles until it is killed. It says "add c" before and "added c" after an addition, and "settle c"
// when c is about to be removed.
func churn(q Queue) error {
	for i := 0; ; i++ {
		c := fmt.Sprint(os.Getenv(envName), ".", i)
		fmt.Println("add", c)
		if err := q.Add(releaseOf(c)); err != nil {
			return err
		}
		fmt.Println("added", c)
		if i%4 == 3 {
			if _, err := settlerOf(q).Settle(context.Background(), 3, nil, func(_ context.Context, r Release) error {
				fmt.Println("settle", r.ContainerID)
				return nil
			}); err != nil {
				return err
			}
		}
	}
}

// TestKilledProcessLeavesCompleteReleaseOrNone kills children at any moment. What one added and nobody settled is there,
// whole; what nobody added is not; and a file is never broken.
func TestKilledProcessLeavesCompleteReleaseOrNone(t *testing.T) {
	q := newQueue(t)
	begun, owed := map[string]bool{}, map[string]bool{}
	// A slow machine kills some children before they have begun, so that it takes more rounds.
	for round := 0; round < 40 || len(begun) < 100 && round < 400; round++ {
		for _, line := range killed(t, self(t, "churn", q, fmt.Sprint("r", round))) {
			switch word, c, _ := strings.Cut(line, " "); word {
			case "add":
				begun[c] = true
			case "added":
				owed[c] = true
			case "settle":
				delete(owed, c)
			}
		}
		waiting := present(t, q)
		for c := range owed {
			if !waiting[c] {
				t.Fatalf("round %d: %s was added, settled by nobody, and is not there", round, c)
			}
		}
		for c := range waiting {
			if !begun[c] {
				t.Fatalf("round %d: %s is there, and nobody added it", round, c)
			}
		}
	}
	if len(begun) < 100 {
		t.Errorf("only %d were begun: this killed nobody at work", len(begun))
	}
	var s recorder
	if done, err := settlerOf(q).Settle(t.Context(), 1<<20, nil, s.settle); err != nil || done < len(owed) {
		t.Errorf("Settle = %d, %v; want at least %d", done, err, len(owed))
	}
	check(t, "left", names(t, q), "")
}

// killed runs the command, kills it after a random while at work, and returns the lines that it wrote.
func killed(t *testing.T, cmd *exec.Cmd) []string {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var lines []string
	var timer *time.Timer
	for in := bufio.NewScanner(out); in.Scan(); {
		if timer == nil {
			timer = time.AfterFunc(time.Duration(rand.IntN(int(40*time.Millisecond))), func() { _ = cmd.Process.Kill() })
		}
		lines = append(lines, in.Text())
	}
	if err := cmd.Wait(); err == nil || err.Error() != "signal: killed" {
		t.Fatalf("child ended with %v", err)
	}
	return lines
}

// present reads the containers whose releases wait. A file that is not a whole release fails the test.
func present(t *testing.T, q Queue) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	all, err := q.files().inOrder()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range all {
		e, err := q.files().load(name)
		if err != nil || e == nil || fileName(e.Key()) != name {
			t.Fatalf("%s holds %v, %v", name, e, err)
		}
		found[e.ContainerID] = true
	}
	return found
}

// drain settles until nothing waits, and says whom.
func drain(q Queue) error {
	for {
		if n, err := q.Len(); n == 0 {
			return err
		}
		if _, err := settlerOf(q).Settle(context.Background(), 7, nil, func(_ context.Context, r Release) error {
			fmt.Println(r.ContainerID)
			return nil
		}); err != nil {
			return err
		}
	}
}

// drainOneByOne does so as ADDs and DELs of the containers do.
func drainOneByOne(q Queue) error {
	names, err := q.files().inOrder()
	for _, name := range names {
		e, errLoad := q.files().load(name)
		if e == nil {
			err = errors.Join(err, errLoad)
			continue
		}
		err = errors.Join(err, settlerOf(q).SettleContainer(context.Background(), e.Network, e.ContainerID, func(_ context.Context, r Release) error {
			fmt.Println(r.ContainerID)
			return nil
		}))
	}
	return err
}

func TestConcurrentProcessesSettleEachReleaseOnce(t *testing.T) {
	const releases, processes = 100, 4
	q := newQueue(t)
	for i := range releases {
		add(t, q, releaseOf(fmt.Sprint("c", i)))
	}
	outputs := make([]bytes.Buffer, processes)
	var wg sync.WaitGroup
	for i := range outputs {
		cmd := self(t, []string{"drain", "drain one by one"}[i%2], q, "")
		cmd.Stdout = &outputs[i]
		wg.Go(func() {
			if err := cmd.Run(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	times := map[string]int{}
	for i := range outputs {
		for c := range strings.FieldsSeq(outputs[i].String()) {
			times[c]++
		}
	}
	for i := range releases {
		if c := fmt.Sprint("c", i); times[c] != 1 {
			t.Errorf("%s was settled %d times", c, times[c])
		}
	}
	check(t, "left", names(t, q), "")
}

// fill adds until the queue is full.
func fill(q Queue) error {
	q.Limit = 50
	for i := 0; ; i++ {
		if err := q.Add(releaseOf(fmt.Sprint(os.Getenv(envName), ".", i))); errors.Is(err, ErrFull) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func TestConcurrentProcessesKeepToLimit(t *testing.T) {
	q := newQueue(t)
	if err := os.MkdirAll(filepath.Dir(q.Dir), 0o755); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 4 {
		cmd := self(t, "fill", q, fmt.Sprint("p", i))
		wg.Go(func() {
			if err := cmd.Run(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	checkLen(t, q, 50)
}
