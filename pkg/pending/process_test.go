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

// The test binary runs itself as another process of the node. These variables name its role and its queue.
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

// churn adds and settles releases until it is killed. It prints "add c" before and "added c" after it adds a release,
// and "settle c" before it removes one.
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

// TestKilledProcessLeavesCompleteReleaseOrNone kills processes at random times. Each release that was added and not
// settled must be in the queue, and no other. No file may be broken.
func TestKilledProcessLeavesCompleteReleaseOrNone(t *testing.T) {
	q := newQueue(t)
	begun, owed := map[string]bool{}, map[string]bool{}
	// On a slow machine some processes are killed before they have begun, so it takes more rounds.
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
				t.Fatalf("round %d: %s was added and not settled, and is missing", round, c)
			}
		}
		for c := range waiting {
			if !begun[c] {
				t.Fatalf("round %d: %s is queued, but was not added", round, c)
			}
		}
	}
	if len(begun) < 100 {
		t.Errorf("only %d were begun: no process was killed while it worked", len(begun))
	}
	var s recorder
	if done, err := settlerOf(q).Settle(t.Context(), 1<<20, nil, s.settle); err != nil || done < len(owed) {
		t.Errorf("Settle = %d, %v; want at least %d", done, err, len(owed))
	}
	check(t, "left", names(t, q), "")
}

// killed runs the command, kills it after a random time, and returns the lines that it has printed.
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

// present returns the containers whose releases are queued. A file without a complete release fails the test.
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

// drain settles all releases and prints their containers.
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

// drainOneByOne does the same as ADDs of the containers do.
func drainOneByOne(q Queue) error {
	names, err := q.files().inOrder()
	for _, name := range names {
		e, errLoad := q.files().load(name)
		if e == nil {
			err = errors.Join(err, errLoad)
			continue
		}
		err = errors.Join(
			err,
			settlerOf(
				q,
			).SettleContainer(context.Background(), e.Network, e.ContainerID, func(_ context.Context, r Release) error {
				fmt.Println(r.ContainerID)
				return nil
			}),
		)
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

// fill adds releases until the queue is full.
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
