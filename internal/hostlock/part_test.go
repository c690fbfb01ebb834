// SPDX-License-Identifier: Apache-2.0

package hostlock_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"calico-cni/internal/hostlock"
)

func TestPartsOfALockAreIndependent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dir", "lock")
	whole, err := hostlock.Acquire(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer whole()
	a, err := hostlock.AcquirePart(t.Context(), path, "a")
	if err != nil {
		t.Fatal(err)
	}
	b, err := hostlock.TryPart(path, "b")
	if err != nil {
		t.Errorf("another part: %v", err)
	}
	b()
	if _, err := hostlock.TryPart(path, "a"); !errors.Is(err, hostlock.ErrBusy) {
		t.Errorf("TryPart on a locked part: %v, want ErrBusy", err)
	}
	ended, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := hostlock.AcquirePart(ended, path, "a"); !errors.Is(err, hostlock.ErrBusy) {
		t.Errorf("AcquirePart on a locked part: %v, want ErrBusy", err)
	}
	waits := make(chan error, 1)
	go func() {
		release, err := hostlock.AcquirePart(context.WithoutCancel(t.Context()), path, "a")
		if err == nil {
			release()
		}
		waits <- err
	}()
	a()
	if err := <-waits; err != nil {
		t.Errorf("AcquirePart after the release: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != 0 || info.Mode().Perm() != 0o600 {
		t.Errorf("lock file: %v, %v; want an empty one of mode 0600", info, err)
	}
}

func TestPartIsReleasedWhenItsProcessIsKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	kill := holder(t, "hold part", path)
	if _, err := hostlock.TryPart(path, partName); !errors.Is(err, hostlock.ErrBusy) {
		t.Errorf("while a process holds the part: %v, want ErrBusy", err)
	}
	kill()
	release, err := hostlock.AcquirePart(t.Context(), path, partName)
	if err != nil {
		t.Fatal(err)
	}
	release()
}
