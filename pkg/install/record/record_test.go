// SPDX-License-Identifier: Apache-2.0

package record

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"calico-cni/internal/buildinfo"
	"calico-cni/internal/safeopen"
)

// newHost returns the directories of a host: its root, and its configuration directory.
func newHost(t *testing.T) (root, dir string) {
	t.Helper()
	root = t.TempDir()
	dir = filepath.Join(root, "net.d")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return root, dir
}

// open returns the record of a host, as another installer reads it.
func open(root, dir string) *File {
	f := New(root, dir, slog.New(slog.DiscardHandler))
	f.Load()
	return f
}

func sumOf(text string) [32]byte { return sha256.Sum256([]byte(text)) }

func TestLoad(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		owns       bool
		newer      bool
		fails      bool
	}{
		{"complete", `{"format": 1, "version": "v1", "files": {"f": ["%x"]}}`, true, false, false},
		{"without a format", `{"files": {"f": ["%x"]}}`, false, false, true},
		{"with a later field", `{"format": 1, "later": {}, "files": {"f": ["%x"]}}`, true, false, false},
		{"newer format", `{"format": 2, "version": "v9", "files": [["f", "%x"]]}`, false, true, true},
		{"cut off", `{"format": 1, "files": {"f": ["%x"]`, false, false, true},
		{"without files", `{"format": 1, "version": "%x"}`, false, false, false},
		{"empty", "", false, false, true},
	} {
		path := filepath.Join(t.TempDir(), Name)
		text := tt.text
		if strings.Contains(text, "%x") {
			text = fmt.Sprintf(text, sumOf("text"))
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := Load(path)
		if r.Owns("f", sumOf("text")) != tt.owns || errors.Is(err, ErrNewer) != tt.newer || (err != nil) != tt.fails {
			t.Errorf("%s: %+v, %v", tt.name, r, err)
		}
		if r.Owns("f", sumOf("another text")) || r.Owns("g", sumOf("text")) || r.Files == nil || r.Versions == nil {
			t.Errorf("%s: %+v", tt.name, r)
		}
	}
	path := filepath.Join(t.TempDir(), Name)
	if r, err := Load(path); err != nil || r.Files == nil {
		t.Errorf("no record: %+v, %v", r, err)
	}
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); !errors.Is(err, safeopen.ErrNotRegular) {
		t.Errorf("FIFO: %v", err)
	}
}

func TestPutEntersTheFileBeforeItWrites(t *testing.T) {
	root, dir := newHost(t)
	path := filepath.Join(root, "none", "f")
	if _, err := open(root, dir).Put(path, []byte("text"), 0o600); err == nil {
		t.Fatal("wrote to a directory that does not exist")
	}
	if !open(root, dir).Owns(path, sumOf("text")) {
		t.Error("the file is not in the record")
	}
	if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{true, false} {
		written, err := open(root, dir).Put(path, []byte("text"), 0o600)
		if data, _ := os.ReadFile(path); err != nil || written != want || string(data) != "text" {
			t.Errorf("Put = %v, %v; want %v; file holds %q", written, err, want, data)
		}
	}
}

func TestPutDoesNotEnterAFileThatExists(t *testing.T) {
	root, dir := newHost(t)
	path := filepath.Join(root, "f")
	if err := os.WriteFile(path, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := open(root, dir)
	if written, err := f.Put(path, []byte("text"), 0o600); written || err != nil || f.Owns(path, sumOf("text")) {
		t.Errorf("Put = %v, %v; in the record: %v", written, err, f.Owns(path, sumOf("text")))
	}
}

func TestSaveKeepsEntriesOfOtherInstallers(t *testing.T) {
	root, dir := newHost(t)
	path := filepath.Join(root, "calico")
	one, two := open(root, dir), open(root, dir)
	for n, f := range []*File{one, two} {
		if err := f.EnterBinaries(map[string][32]byte{path: sumOf(fmt.Sprint(n))}); err != nil {
			t.Fatal(err)
		}
	}
	if err := one.Save(); err != nil {
		t.Fatal(err)
	}
	got := open(root, dir)
	for n := range 2 {
		sum := sumOf(fmt.Sprint(n))
		if version := got.WrittenBy(path, sum); version != buildinfo.Version || !got.Owns(path, sum) {
			t.Errorf("binary %d was written by %q", n, version)
		}
	}
	if version := got.WrittenBy(path, sumOf("of another program")); version != "" {
		t.Errorf("the file of another program was written by %q", version)
	}
}

func TestSaveDropsTheOldestDigests(t *testing.T) {
	root, dir := newHost(t)
	path := filepath.Join(root, "calico")
	f := open(root, dir)
	for n := range maxDigests + 2 {
		if err := f.EnterBinaries(map[string][32]byte{path: sumOf(fmt.Sprint(n))}); err != nil {
			t.Fatal(err)
		}
	}
	r, err := Load(f.Path())
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for n := range maxDigests {
		sum := sumOf(fmt.Sprint(n + 2))
		want = append(want, hex.EncodeToString(sum[:]))
	}
	if !slices.Equal(r.Files["calico"], want) || len(r.Versions) != maxDigests {
		t.Errorf("digests %v with %d versions, want %v", r.Files["calico"], len(r.Versions), want)
	}
}

func TestSaveKeepsARecordOfANewerFormat(t *testing.T) {
	root, dir := newHost(t)
	const newer = `{"format": 2, "version": "v9"}`
	if err := os.WriteFile(filepath.Join(dir, Name), []byte(newer), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := open(root, dir).EnterBinaries(map[string][32]byte{filepath.Join(root, "f"): sumOf("text")}); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, Name)); err != nil || string(got) != newer {
		t.Errorf("record is %s, %v", got, err)
	}
}

func TestSetChainedRemembersListsUntilForgotten(t *testing.T) {
	root, dir := newHost(t)
	f := open(root, dir)
	list := func(n int) string { return filepath.Join(dir, fmt.Sprintf("%d.conflist", n)) }
	for n, tt := range []struct {
		set     string
		changed bool
		want    []string
	}{
		{list(1), true, []string{list(1)}},
		{list(1), false, []string{list(1)}},
		{list(2), true, []string{list(1), list(2)}},
		{"", true, []string{list(1), list(2)}},
		{list(3), true, []string{list(1), list(2), list(3)}},
		{list(1), true, []string{list(1), list(2), list(3), list(1)}},
		{list(2), true, []string{list(1), list(2), list(3), list(2)}},
	} {
		changed := f.SetChained(tt.set)
		if err := f.Save(); err != nil {
			t.Fatal(err)
		}
		r := Remover{File: open(root, dir)}
		if got := r.Chained(); changed != tt.changed || !slices.Equal(got, tt.want) {
			t.Errorf("step %d: changed is %v, lists are %v; want %v", n, changed, got, tt.want)
		}
	}
	if err := f.ForgetUnchained(); err != nil {
		t.Fatal(err)
	}
	r := Remover{File: open(root, dir)}
	if got := r.Chained(); !slices.Equal(got, []string{list(2)}) {
		t.Errorf("lists are %v, want the current one", got)
	}
}

func TestRemoveOwned(t *testing.T) {
	for _, tt := range []struct {
		name    string
		change  func(path string) error
		removed bool
		left    string
		// keeps is set if the record keeps the entry.
		keeps bool
	}{
		{"unchanged", func(string) error { return nil }, true, "", false},
		{"missing", os.Remove, false, "", false},
		{"changed", func(path string) error { return os.WriteFile(path, []byte("new"), 0o600) }, false, "changed", false},
		{
			"FIFO", func(path string) error { return errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600)) },
			false, "changed", false,
		},
		{
			"not mounted", func(path string) error { return os.RemoveAll(filepath.Dir(path)) }, false, "not mounted", true,
		},
	} {
		for _, dry := range []bool{true, false} {
			root, dir := newHost(t)
			path := filepath.Join(root, "bin", "calico")
			if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			f := open(root, dir)
			if _, err := f.Put(path, []byte("text"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := tt.change(path); err != nil {
				t.Fatal(err)
			}
			_, errBefore := os.Lstat(path)
			r := &Remover{File: f, Dry: dry, Report: func(_, _ string) {}, ReportLeft: func(string) {}}
			if err := r.RemoveOwned(func(p string) bool { return p == path }); err != nil {
				t.Fatal(err)
			}
			left := strings.Join(r.Left(), "; ")
			if r.Done(path) != tt.removed || (left == "") != (tt.left == "") || !strings.Contains(left, tt.left) {
				t.Errorf("%s: removed is %v, left %q", tt.name, r.Done(path), left)
			}
			_, err := os.Lstat(path)
			if gone := err != nil && errBefore == nil; gone != (tt.removed && !dry) {
				t.Errorf("%s, dry %v: gone is %v", tt.name, dry, gone)
			}
			if err := f.Delete(); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(f.Path()); (err == nil) != tt.keeps {
				t.Errorf("%s: record after Delete: %v", tt.name, err)
			}
		}
	}
}
