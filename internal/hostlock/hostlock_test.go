// SPDX-License-Identifier: Apache-2.0

package hostlock_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"calico-cni/internal/hostlock"
)

// The test binary runs itself as another process of the host. These variables pass its task and the lock file.
const (
	envRole = "HOSTLOCK_TEST_ROLE"
	envLock = "HOSTLOCK_TEST_LOCK"
)

func TestMain(m *testing.M) {
	var err error
	switch os.Getenv(envRole) {
	case "":
		os.Exit(m.Run())
	case "hold":
		err = hold(os.Getenv(envLock))
	case "hold part":
		err = holdPart(os.Getenv(envLock))
	case "count":
		err = count(os.Getenv(envLock))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// hold takes the lock, reports that, and keeps it until standard input ends.
func hold(lock string) error {
	if _, err := hostlock.Acquire(context.Background(), lock); err != nil {
		return err
	}
	fmt.Println("held")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

const partName = "net@c@eth0.json"

// holdPart does the same with a part.
func holdPart(lock string) error {
	if _, err := hostlock.AcquirePart(context.Background(), lock, partName); err != nil {
		return err
	}
	fmt.Println("held")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

const (
	rounds  = 50
	writers = 4
)

// count increments the number in a file beside the lock, rounds times. Concurrent unlocked increments would be lost.
func count(lock string) error {
	for range rounds {
		release, err := hostlock.Acquire(context.Background(), lock)
		if err != nil {
			return err
		}
		n, err := number(lock)
		if err != nil {
			return err
		}
		runtime.Gosched()
		if err := os.WriteFile(lock+".count", []byte(strconv.Itoa(n+1)), 0o600); err != nil {
			return err
		}
		release()
	}
	return nil
}

func number(lock string) (int, error) {
	data, err := os.ReadFile(lock + ".count")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(data))
}

func self(t *testing.T, role, lock string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), envRole+"="+role, envLock+"="+lock)
	cmd.Stderr = os.Stderr
	return cmd
}

func TestAcquireIsExclusive(t *testing.T) {
	for name, writer := range map[string]func(t *testing.T, lock string) error{
		"in one process":     func(_ *testing.T, lock string) error { return count(lock) },
		"in several of them": func(t *testing.T, lock string) error { return self(t, "count", lock).Run() },
	} {
		t.Run(name, func(t *testing.T) {
			lock := filepath.Join(t.TempDir(), "lock")
			if err := os.WriteFile(lock+".count", []byte("0"), 0o600); err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			for range writers {
				wg.Go(func() {
					if err := writer(t, lock); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if n, err := number(lock); n != writers*rounds || err != nil {
				t.Errorf("counted to %d, %v, want %d", n, err, writers*rounds)
			}
		})
	}
}

func TestAcquireReturnsErrBusyWhenContextEnds(t *testing.T) {
	lock := filepath.Join(t.TempDir(), "lock")
	release := mustAcquire(t, lock)
	wantBusy(t, lock)
	release()
	mustAcquire(t, lock)()
}

func TestWithinWaitsForTimeout(t *testing.T) {
	lock := filepath.Join(t.TempDir(), "lock")
	release := mustAcquire(t, lock)
	if _, err := hostlock.Within(20*time.Millisecond, lock); !errors.Is(err, hostlock.ErrBusy) {
		t.Errorf("held by others: %v, want ErrBusy", err)
	}
	done := make(chan error)
	go func() {
		release, err := hostlock.Within(time.Minute, lock)
		if err == nil {
			release()
		}
		done <- err
	}()
	release()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestTryDoesNotWait(t *testing.T) {
	lock := filepath.Join(t.TempDir(), "lock")
	release := mustAcquire(t, lock)
	if _, err := hostlock.Try(lock); !errors.Is(err, hostlock.ErrBusy) {
		t.Errorf("held by others: %v, want ErrBusy", err)
	}
	release()
	release, err := hostlock.Try(lock)
	if err != nil {
		t.Fatal(err)
	}
	wantBusy(t, lock)
	release()
	mustAcquire(t, lock)()
}

func TestAcquireAfterRelease(t *testing.T) {
	lock := filepath.Join(t.TempDir(), "lock")
	release := mustAcquire(t, lock)
	done := make(chan error)
	go func() {
		_, err := hostlock.Acquire(context.Background(), lock)
		done <- err
	}()
	release()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Many commands wait for the lock of a node when it starts. None must wait for commands that arrived later.
func TestWaitersGetLockInOrder(t *testing.T) {
	const waiters = 100
	lock := filepath.Join(t.TempDir(), "lock")
	release := mustAcquire(t, lock)
	var mu sync.Mutex
	var got, want []int
	var wg sync.WaitGroup
	for i := range waiters {
		want = append(want, i)
		wg.Go(func() {
			release := mustAcquire(t, lock)
			mu.Lock()
			got = append(got, i)
			mu.Unlock()
			release()
		})
		awaitQueue(t, lock, i+1)
	}
	release()
	wg.Wait()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("order of waiters (-want +got):\n%s", diff)
	}
}

func TestCancelledWaiterDoesNotBlockOthers(t *testing.T) {
	lock := filepath.Join(t.TempDir(), "lock")
	release := mustAcquire(t, lock)
	wantBusy(t, lock)
	awaitQueue(t, lock, 1)
	release()
	mustAcquire(t, lock)()
	mustAcquire(t, lock)()
}

// awaitQueue waits until the kernel has n waiters for the lock.
func awaitQueue(t *testing.T, lock string, n int) {
	t.Helper()
	info, err := os.Stat(lock)
	if err != nil {
		t.Fatal(err)
	}
	inode := fmt.Sprintf(":%d ", info.Sys().(*syscall.Stat_t).Ino)
	for range 10_000 {
		locks, err := os.ReadFile("/proc/locks")
		if err != nil {
			t.Fatal(err)
		}
		waiting := 0
		for line := range strings.Lines(string(locks)) {
			if strings.Contains(line, "->") && strings.Contains(line, inode) {
				waiting++
			}
		}
		if waiting == n {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("fewer than %d waiters for %s", n, lock)
}

func TestLockOfKilledProcessIsReleased(t *testing.T) {
	lock := filepath.Join(t.TempDir(), "lock")
	kill := holder(t, "hold", lock)
	wantBusy(t, lock)
	kill()
	mustAcquire(t, lock)()
}

// holder starts a process that holds the lock until it is killed.
func holder(t *testing.T, role, lock string) (kill func()) {
	t.Helper()
	holder := self(t, role, lock)
	// The pipe stays open, so that only the signal ends the holder.
	if _, err := holder.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "held\n" {
		t.Fatalf("holder printed %q: %v", line, err)
	}
	return func() {
		t.Helper()
		if err := holder.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := holder.Wait(); err == nil || err.Error() != "signal: killed" {
			t.Errorf("holder ended with %v", err)
		}
	}
}

func TestAcquireCreatesDirectory(t *testing.T) {
	mustAcquire(t, filepath.Join(t.TempDir(), "var", "run", "calico", "ipam.lock"))()
}

func TestLockErrorIsNotErrBusy(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"directory in its place":         dir,
		"file in place of its directory": filepath.Join(file, "lock"),
	} {
		if _, err := hostlock.Acquire(t.Context(), path); err == nil || errors.Is(err, hostlock.ErrBusy) {
			t.Errorf("%s: %v, want an error other than ErrBusy", name, err)
		}
		if _, err := hostlock.Try(path); err == nil || errors.Is(err, hostlock.ErrBusy) {
			t.Errorf("%s: tried: %v, want an error other than ErrBusy", name, err)
		}
	}
}

// mustAcquire takes a lock that is free or about to be released.
func mustAcquire(t *testing.T, lock string) (release func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	release, err := hostlock.Acquire(ctx, lock)
	if err != nil {
		t.Fatal(err)
	}
	return release
}

// wantBusy tries to take a lock that is held, and expects ErrBusy.
func wantBusy(t *testing.T, lock string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	_, err := hostlock.Acquire(ctx, lock)
	if !errors.Is(err, hostlock.ErrBusy) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("held by others: %v, want ErrBusy and the context's end", err)
	}
}
