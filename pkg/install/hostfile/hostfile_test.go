// SPDX-License-Identifier: Apache-2.0

package hostfile

import (
	"crypto/sha256"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"calico-cni/internal/safeopen"
)

// place creates something at a path for each key.
var place = map[string]func(path string) error{
	"nothing":   func(string) error { return nil },
	"file":      func(path string) error { return os.WriteFile(path, []byte("text"), 0o600) },
	"open file": func(path string) error { return errors.Join(os.WriteFile(path, nil, 0o600), os.Chmod(path, 0o644)) },
	"directory": func(path string) error { return os.Mkdir(path, 0o755) },
	"FIFO":      func(path string) error { return syscall.Mkfifo(path, 0o600) },
	"link":      func(path string) error { return os.Symlink(filepath.Dir(path), path) },
}

func put(t *testing.T, kind string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "f")
	if err := place[kind](path); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFilesOfEachKindAreClassified(t *testing.T) {
	for _, tt := range []struct {
		kind                                      string
		directory, replaceable, hasMode, isWithin bool
	}{
		{"nothing", false, true, false, false},
		{"file", false, true, true, true},
		{"open file", false, true, false, false},
		{"directory", true, false, false, false},
		{"FIFO", false, false, false, false},
		{"link", true, true, false, false},
	} {
		path := put(t, tt.kind)
		if err := Directory(path); (err == nil) != tt.directory {
			t.Errorf("Directory of a %s: %v", tt.kind, err)
		}
		if err := Replaceable(path); (err == nil) != tt.replaceable ||
			err != nil && !errors.Is(err, safeopen.ErrNotRegular) {
			t.Errorf("Replaceable of a %s: %v", tt.kind, err)
		}
		if HasMode(path, SecretMode) != tt.hasMode {
			t.Errorf("HasMode of a %s: %v", tt.kind, !tt.hasMode)
		}
		if Within(path, SecretMode) != tt.isWithin {
			t.Errorf("Within of a %s: %v", tt.kind, !tt.isWithin)
		}
	}
	if path := put(t, "file"); Within(path, 0o400) || !Within(path, 0o640) {
		t.Error("Within does not compare permissions")
	}
}

func TestSHA256(t *testing.T) {
	if sum, err := SHA256(put(t, "file")); err != nil || sum != sha256.Sum256([]byte("text")) {
		t.Errorf("file: %x, %v", sum, err)
	}
	for kind, want := range map[string]error{
		"nothing": fs.ErrNotExist, "FIFO": safeopen.ErrNotRegular, "directory": safeopen.ErrNotRegular,
	} {
		if _, err := SHA256(put(t, kind)); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", kind, err, want)
		}
	}
}

func TestSweepRemovesTemporaryFilesByAge(t *testing.T) {
	now := time.Now()
	sweeps := map[string]func(string, time.Time, *slog.Logger){"stale": SweepStale, "all": SweepAll}
	for _, tt := range []struct {
		name    string
		age     time.Duration
		removed map[string]bool
	}{
		{".calico.1.atomicfile", time.Hour, map[string]bool{"stale": true, "all": true}},
		{".calico.1.atomicfile", 9 * time.Minute, map[string]bool{"all": true}},
		{"calico", time.Hour, nil},
	} {
		for which, sweep := range sweeps {
			dir := t.TempDir()
			path := filepath.Join(dir, tt.name)
			if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chtimes(path, now, now.Add(-tt.age))); err != nil {
				t.Fatal(err)
			}
			sweep(dir, now, slog.New(slog.DiscardHandler))
			if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) != tt.removed[which] {
				t.Errorf("sweep %s: %s of age %s: removed is %v", which, tt.name, tt.age, !tt.removed[which])
			}
		}
	}
}

func TestStampChangesWithTheFile(t *testing.T) {
	path := put(t, "file")
	before := StampOf(path)
	if before == (Stamp{}) || before != StampOf(path) {
		t.Errorf("stamp %+v, then %+v", before, StampOf(path))
	}
	if before.Settled(time.Now()) || !before.Settled(time.Now().Add(time.Minute)) {
		t.Error("a stamp is settled a second after the last change, and not before")
	}
	for name, change := range map[string]func() error{
		"content": func() error { return os.WriteFile(path, []byte("longer text"), 0o600) },
		"mode":    func() error { return os.Chmod(path, 0o640) },
		"inode":   func() error { return errors.Join(os.Rename(path, path+".old"), place["file"](path)) },
	} {
		before := StampOf(path)
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if StampOf(path) == before {
			t.Errorf("%s: the stamp stays", name)
		}
	}
	if s := StampOf(put(t, "nothing")); s != (Stamp{}) {
		t.Errorf("stamp of nothing: %+v", s)
	}
	if StampOf(put(t, "link")).Settled(time.Now().Add(time.Minute)) {
		t.Error("the stamp of a link is settled")
	}
}
