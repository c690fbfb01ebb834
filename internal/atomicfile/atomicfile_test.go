// SPDX-License-Identifier: Apache-2.0

package atomicfile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"calico-cni/internal/safeopen"
)

// tree lists a directory: one line per entry, with mode, name, and content or link target.
func tree(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		var holds []byte
		switch path := filepath.Join(dir, e.Name()); {
		case info.Mode().IsRegular():
			holds, err = os.ReadFile(path)
		case info.Mode().Type() == fs.ModeSymlink:
			var to string
			to, err = os.Readlink(path)
			holds = []byte("-> " + to)
		}
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%s %s %s\n", info.Mode(), e.Name(), holds)
	}
	return out.String()
}

func checkTree(t *testing.T, dir, want string) {
	t.Helper()
	if diff := cmp.Diff(want, tree(t, dir)); diff != "" {
		t.Errorf("directory (-want +got):\n%s", diff)
	}
}

func put(t *testing.T, path, data string, mode fs.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func TestWriteFileReplacesOnlyDifferentFiles(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	for _, tt := range []struct {
		name    string
		before  func(t *testing.T, path string)
		written bool
		want    string
	}{
		{"absent", func(*testing.T, string) {}, true, "-rwxr-xr-x f new\n"},
		{"different content", func(t *testing.T, p string) { put(t, p, "old", 0o755) }, true, "-rwxr-xr-x f new\n"},
		{"prefix of the content", func(t *testing.T, p string) { put(t, p, "ne", 0o755) }, true, "-rwxr-xr-x f new\n"},
		{"longer content", func(t *testing.T, p string) { put(t, p, "new2", 0o755) }, true, "-rwxr-xr-x f new\n"},
		{"different mode", func(t *testing.T, p string) { put(t, p, "new", 0o700) }, true, "-rwxr-xr-x f new\n"},
		{
			"set-user-ID", func(t *testing.T, p string) { put(t, p, "new", 0o755|fs.ModeSetuid) }, true,
			"-rwxr-xr-x f new\n",
		},
		{
			"same content and mode", func(t *testing.T, p string) { put(t, p, "new", 0o755) }, false,
			"-rwxr-xr-x f new\n",
		},
		{"link to a different file", func(t *testing.T, p string) {
			put(t, filepath.Join(filepath.Dir(p), "theirs"), "old", 0o644)
			symlink(t, "theirs", p)
		}, true, "-rwxr-xr-x f new\n-rw-r--r-- theirs old\n"},
		{"link to the same content", func(t *testing.T, p string) {
			put(t, filepath.Join(filepath.Dir(p), "theirs"), "new", 0o755)
			symlink(t, "theirs", p)
		}, true, "-rwxr-xr-x f new\n-rwxr-xr-x theirs new\n"},
		{"dangling link", func(t *testing.T, p string) { symlink(t, "nowhere", p) }, true, "-rwxr-xr-x f new\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "f")
			tt.before(t, path)
			written, err := WriteFile(path, []byte("new"), 0o755)
			if err != nil || written != tt.written {
				t.Errorf("WriteFile = %v, %v; want %v", written, err, tt.written)
			}
			checkTree(t, dir, tt.want)
		})
	}
}

func symlink(t *testing.T, to, path string) {
	t.Helper()
	if err := os.Symlink(to, path); err != nil {
		t.Fatal(err)
	}
}

func TestWriteFileKeepsIdenticalFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	put(t, path, "same", 0o644)
	before := stat(t, path)
	if _, err := WriteFile(path, []byte("same"), 0o644); err != nil {
		t.Fatal(err)
	}
	if after := stat(t, path); before.Ino != after.Ino || before.Mtim != after.Mtim || before.Ctim != after.Ctim {
		t.Errorf("inode and times were %d %v %v, are %d %v %v", before.Ino, before.Mtim, before.Ctim, after.Ino,
			after.Mtim, after.Ctim)
	}
}

func stat(t *testing.T, path string) syscall.Stat_t {
	t.Helper()
	var s syscall.Stat_t
	if err := syscall.Stat(path, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWriteFileRejectsSpecialFiles(t *testing.T) {
	for name, make := range map[string]func(path string) error{
		"directory": func(p string) error { return os.Mkdir(p, 0o755) },
		"pipe":      func(p string) error { return syscall.Mkfifo(p, 0o644) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "f")
			if err := make(path); err != nil {
				t.Fatal(err)
			}
			before := tree(t, dir)
			if written, err := WriteFile(path, []byte("new"), 0o644); written || !errors.Is(err, safeopen.ErrNotRegular) ||
				!strings.Contains(err.Error(), path) {
				t.Errorf("WriteFile = %v, %v; want ErrNotRegular with the path", written, err)
			}
			checkTree(t, dir, before)
		})
	}
}

func TestCheckReceivesCompleteHiddenFile(t *testing.T) {
	dir := t.TempDir()
	src, dst := filepath.Join(dir, "src"), filepath.Join(dir, "10-calico.conflist")
	put(t, src, "new", 0o600)
	put(t, dst, "old", 0o644)
	var seen string
	if _, err := CopyFile(dst, src, 0o755, func(temporary string) error {
		seen = tree(t, dir)
		switch base, ext := filepath.Base(temporary), filepath.Ext(temporary); {
		case filepath.Dir(temporary) != dir || !strings.HasPrefix(base, "."):
			t.Errorf("temporary %s is not hidden in %s", temporary, dir)
		case ext == ".conf" || ext == ".conflist" || ext == ".json":
			t.Errorf("a runtime would load the temporary %s", base)
		default:
			seen = strings.ReplaceAll(seen, base, "TEMPORARY")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	want := "-rwxr-xr-x TEMPORARY new\n-rw-r--r-- 10-calico.conflist old\n-rw------- src new\n"
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("directory during the check (-want +got):\n%s", diff)
	}
	checkTree(t, dir, "-rwxr-xr-x 10-calico.conflist new\n-rw------- src new\n")
}

func TestFailedCheckKeepsOldFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	put(t, path, "old", 0o644)
	refused := errors.New("refused")
	if written, err := WriteFile(path, []byte("new"), 0o755, func(string) error { return refused }); written ||
		!errors.Is(err, refused) {
		t.Errorf("WriteFile = %v, %v; want the check's error", written, err)
	}
	checkTree(t, dir, "-rw-r--r-- f old\n")
}

// TestReadersSeeOldOrNewFile lets writers replace a file while readers read it repeatedly.
func TestReadersSeeOldOrNewFile(t *testing.T) {
	const size, rounds = 300_000, 150
	path := filepath.Join(t.TempDir(), "plugin")
	content := func(c byte) []byte { return bytes.Repeat([]byte{c}, size) }
	if _, err := WriteFile(path, content('a'), 0o755); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var writers, readers sync.WaitGroup
	for w := range byte(2) {
		writers.Go(func() {
			for n := range byte(rounds) {
				if _, err := WriteFile(path, content('a'+(2*n+w)%26), 0o755); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if err := whole(path, size); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
}

// whole checks an executable file that consists of one repeated byte.
func whole(path string, size int) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	data := make([]byte, size+1)
	n, _ := f.Read(data)
	if n != size || bytes.Count(data[:n], data[:1]) != size || info.Mode() != 0o755 {
		return fmt.Errorf("read a file of %d bytes, %d of them alike, mode %s", n, bytes.Count(data[:n], data[:1]),
			info.Mode())
	}
	return nil
}

func TestSweepRemovesOldTemporaries(t *testing.T) {
	dir := t.TempDir()
	old := time.Now().Add(-time.Hour)
	for _, name := range []string{".f.1.atomicfile", ".f.2.atomicfile", "f.atomicfile", ".f"} {
		put(t, filepath.Join(dir, name), "", 0o600)
		if name != ".f.2.atomicfile" {
			if err := os.Chtimes(filepath.Join(dir, name), old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := Sweep(dir, old.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	checkTree(t, dir, "-rw------- .f \n-rw------- .f.2.atomicfile \n-rw------- f.atomicfile \n")
}

// TestSweepMatchesTemporaryNames checks that Sweep removes the files that killed writers leave behind.
func TestSweepMatchesTemporaryNames(t *testing.T) {
	dir := t.TempDir()
	if _, err := WriteFile(filepath.Join(dir, "f"), []byte("new"), 0o600, func(string) error {
		return Sweep(dir, time.Now().Add(time.Hour))
	}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("WriteFile = %v; want its temporary swept away", err)
	}
	checkTree(t, dir, "")
}

func TestHoldsComparesBytes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	rapid.Check(t, func(t *rapid.T) {
		// Lengths around the size of the comparison buffers.
		length := rapid.SampledFrom([]int{0, 1, 64<<10 - 1, 64 << 10, 64<<10 + 1, 128 << 10}).Draw(t, "length")
		a := bytes.Repeat([]byte{'x'}, length)
		b := bytes.Clone(a)
		switch rapid.SampledFrom([]string{"same", "flip", "longer", "shorter"}).Draw(t, "change") {
		case "flip":
			if length > 0 {
				b[rapid.IntRange(0, length-1).Draw(t, "at")]++
			}
		case "longer":
			b = append(b, 'x')
		case "shorter":
			b = b[:max(0, length-1)]
		}
		if err := os.WriteFile(path, a, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := Holds(path, bytes.NewReader(b), 0o600); err != nil || got != bytes.Equal(a, b) {
			t.Fatalf("Holds = %v, %v; want %v", got, err, bytes.Equal(a, b))
		}
	})
}

func TestReplaceReplacesFileAndLink(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	for name, before := range map[string]func() error{
		"absent": func() error { return nil },
		"file":   func() error { return os.WriteFile(path, []byte("old and longer"), 0o644) },
		"link":   func() error { return os.Symlink("/etc/passwd", path) },
	} {
		if err := errors.Join(os.RemoveAll(path), before(), Replace(path, []byte("new"))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		checkTree(t, dir, "-rw------- f new\n")
	}
	if err := Replace(filepath.Join(dir, "none", "f"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Replace = %v without a directory", err)
	}
	if err := errors.Join(os.Remove(path), os.MkdirAll(filepath.Join(path, "below"), 0o755)); err != nil {
		t.Fatal(err)
	}
	if err := Replace(path, []byte("new")); err == nil {
		t.Error("no error in place of a directory")
	}
	if entries, err := os.ReadDir(dir); len(entries) != 1 || err != nil {
		t.Errorf("a temporary file is left: %v, %v", entries, err)
	}
}
