// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"calico-cni/test/node"
)

// The node's lock serializes assignments: an ADD waits for it, a DEL does not.
func TestAddWaitsForLockButDelDoesNot(t *testing.T) {
	lock := filepath.Join(t.TempDir(), "ipam.lock")
	changes := map[string]any{"ipam_lock_file": lock}
	gone, come := newPod(t, "lock-gone"), newPod(t, "lock-come")
	add(t, gone, changes)

	f, err := os.OpenFile(lock, os.O_RDWR|os.O_CREATE, 0o600)
	must(t, err)
	defer func() { _ = f.Close() }()
	must(t, unix.Flock(int(f.Fd()), unix.LOCK_EX))
	added := make(chan node.Answer)
	go func() { added <- call(t, "ADD", come, changes) }()
	awaitWaiter(t, f)

	if a := del(t, gone, changes); a.Exit != 0 || strings.Contains(a.Stderr, "without the lock") {
		t.Errorf("DEL while the lock is held: %+v", a)
	}
	select {
	case a := <-added:
		t.Errorf("ADD did not wait: %+v", a)
	default:
	}
	must(t, unix.Flock(int(f.Fd()), unix.LOCK_UN))
	if a := <-added; a.Exit != 0 || strings.Contains(a.Stderr, "without the lock") {
		t.Errorf("ADD after the lock was free: %+v", a)
	}
}

// awaitWaiter waits until a process waits for the lock of a file.
func awaitWaiter(t *testing.T, f *os.File) {
	t.Helper()
	var stat unix.Stat_t
	must(t, unix.Fstat(int(f.Fd()), &stat))
	inode := fmt.Sprintf(":%d ", stat.Ino)
	for range 3000 {
		locks, err := os.ReadFile("/proc/locks")
		must(t, err)
		for line := range strings.Lines(string(locks)) {
			if strings.Contains(line, "->") && strings.Contains(line, inode) {
				return
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("no process waits for the lock")
}
