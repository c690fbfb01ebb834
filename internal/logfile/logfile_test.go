// SPDX-License-Identifier: Apache-2.0

package logfile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"calico-cni/internal/disktest"
	"calico-cni/internal/hostlock"
)

var noon = time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)

// testOptions returns the options of cni.log in a new directory, with a fixed clock and a size limit that rotates at
// nearly
// every line.
func testOptions(t *testing.T) Options {
	t.Helper()
	return Options{Path: filepath.Join(t.TempDir(), "calico", "cni.log"), MaxSize: 10, Now: func() time.Time {
		return noon
	}}
}

// dump lists the log's directory except the lock: one line per file, with mode and content.
func dump(t *testing.T, o Options) string {
	t.Helper()
	dir := filepath.Dir(o.Path)
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, e := range entries {
		if e.Name() == "cni.log.lock" {
			continue
		}
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%s %s %q\n", info.Mode(), e.Name(), data)
	}
	return out.String()
}

func check(t *testing.T, what, got, want string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// write writes each line with a new File, like a separate process.
func write(t *testing.T, o Options, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if n, err := Open(o).Write([]byte(line + "\n")); n != len(line)+1 || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
	}
}

func TestFileIsRotatedBeforeLineThatDoesNotFit(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o022))
	o := testOptions(t)
	now := noon
	o.Now = func() time.Time { now = now.Add(time.Second); return now }
	write(t, o, "1234", "6789", "", "a line longer than a file may be", "end")
	check(t, "directory", dump(t, o), `-rw-r----- cni-2026-08-01T12-00-01.000.log "1234\n6789\n"
-rw-r----- cni-2026-08-01T12-00-02.000.log "\n"
-rw-r----- cni-2026-08-01T12-00-03.000.log "a line longer than a file may be\n"
-rw-r----- cni.log "end\n"
`)
	if info, err := os.Stat(filepath.Dir(o.Path)); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("directory: %v, %v", info, err)
	}
}

func TestEmptyFileIsNotRotated(t *testing.T) {
	o := testOptions(t)
	write(t, o, "a line longer than a file may be")
	check(t, "directory", dump(t, o), "-rw-r----- cni.log \"a line longer than a file may be\\n\"\n")
}

func TestRotatedNamesKeepOrder(t *testing.T) {
	o := testOptions(t)
	write(t, o, "first...", "second..", "third...")
	o.Now = func() time.Time { return noon.Add(-time.Hour) }
	write(t, o, "fourth..")
	check(t, "directory", dump(t, o), `-rw-r----- cni-2026-08-01T12-00-00.000.log "first...\n"
-rw-r----- cni-2026-08-01T12-00-00.001.log "second..\n"
-rw-r----- cni-2026-08-01T12-00-00.002.log "third...\n"
-rw-r----- cni.log "fourth..\n"
`)
}

func TestRotationKeepsMaxCountFiles(t *testing.T) {
	o := testOptions(t)
	o.MaxCount = 2
	write(t, o, "first...", "second..", "third...", "fourth..", "fifth...")
	check(t, "directory", dump(t, o), `-rw-r----- cni-2026-08-01T12-00-00.002.log "third...\n"
-rw-r----- cni-2026-08-01T12-00-00.003.log "fourth..\n"
-rw-r----- cni.log "fifth...\n"
`)
}

// TestRotationRemovesOnlyOldRotatedFiles uses rotated files of this package and of another writer, and files with
// similar names.
func TestRotationRemovesOnlyOldRotatedFiles(t *testing.T) {
	o := testOptions(t)
	o.MaxAge = 24 * time.Hour
	write(t, o, "first...")
	for _, name := range []string{
		"cni-2026-07-31T11-59-59.999.log", "cni-2026-07-31T11-59-59.999.log.gz",
		"cni-2026-07-31T11-59-59.999-size.log.zst",
		"cni-2026-07-31T12-00-00.000.log",
		"cni-2026-07-31.log", "cni-2026-07-31T11-59-59.999.txt", "cni-2026-07-31T11-59-59.999.log.bak",
		"cni-2026-07-31T11-59-59.999copy.log",
		"cni-2026-07-31T11-59-59.999-2.log", "cni-2026-99-31T11-59-59.999.log", "ipam-2026-07-31T11-59-59.999.log",
		"2026-07-31T11-59-59.999.log", "cni-.log",
	} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(o.Path), name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(t, o, "second..")
	check(t, "directory", dump(t, o), `-rw------- 2026-07-31T11-59-59.999.log ""
-rw------- cni-.log ""
-rw------- cni-2026-07-31.log ""
-rw------- cni-2026-07-31T11-59-59.999-2.log ""
-rw------- cni-2026-07-31T11-59-59.999.log.bak ""
-rw------- cni-2026-07-31T11-59-59.999.txt ""
-rw------- cni-2026-07-31T11-59-59.999copy.log ""
-rw------- cni-2026-07-31T12-00-00.000.log ""
-rw-r----- cni-2026-08-01T12-00-00.000.log "first...\n"
-rw------- cni-2026-99-31T11-59-59.999.log ""
-rw-r----- cni.log "second..\n"
-rw------- ipam-2026-07-31T11-59-59.999.log ""
`)
}

func TestRotationOfNameWithoutExtension(t *testing.T) {
	o := testOptions(t)
	o.Path, o.MaxCount = strings.TrimSuffix(o.Path, ".log"), 1
	write(t, o, "first...", "second..", "third...")
	if err := os.Remove(o.Path + ".lock"); err != nil {
		t.Error(err)
	}
	check(t, "directory", dump(t, o), `-rw-r----- cni "third...\n"
-rw-r----- cni-2026-08-01T12-00-00.001 "second..\n"
`)
}

func TestRotationKeepsModeAndOwner(t *testing.T) {
	o := testOptions(t)
	write(t, o, "first...")
	if err := errors.Join(os.Chmod(o.Path, 0o644), os.Chown(o.Path, 12, 34)); err != nil {
		t.Fatal(err)
	}
	write(t, o, "second..")
	check(t, "directory", dump(t, o), `-rw-r--r-- cni-2026-08-01T12-00-00.000.log "first...\n"
-rw-r--r-- cni.log "second..\n"
`)
	var st syscall.Stat_t
	if err := syscall.Stat(o.Path, &st); err != nil || st.Uid != 12 || st.Gid != 34 {
		t.Errorf("owner %d:%d, %v; want 12:34", st.Uid, st.Gid, err)
	}
}

func TestUmaskRestrictsMode(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	o := testOptions(t)
	write(t, o, "line")
	check(t, "directory", dump(t, o), "-rw------- cni.log \"line\\n\"\n")
}

func TestNoLockFarBelowLimit(t *testing.T) {
	for _, limit := range []int64{0, margin + 10} {
		o := testOptions(t)
		o.MaxSize = limit
		write(t, o, "1234", "6789")
		if _, err := os.Stat(o.Path + ".lock"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("limit %d: lock: %v, want none", limit, err)
		}
		write(t, o, "near")
		if _, err := os.Stat(o.Path + ".lock"); errors.Is(err, fs.ErrNotExist) != (limit == 0) {
			t.Errorf("limit %d: lock near it: %v", limit, err)
		}
		check(t, "directory", dump(t, o), "-rw-r----- cni.log \"1234\\n6789\\nnear\\n\"\n")
	}
}

func TestWriteWithoutLockDoesNotRotate(t *testing.T) {
	o := testOptions(t)
	write(t, o, "first...")
	unlock, err := hostlock.Try(o.Path + ".lock")
	if err != nil {
		t.Fatal(err)
	}
	f := Open(o)
	for range 2 {
		if n, err := f.Write([]byte("in vain\n")); n != 8 || err != nil || !f.hurried {
			t.Errorf("Write = %d, %v; hurried: %v", n, err, f.hurried)
		}
	}
	unlock()
	// The two writers that gave up are still in the kernel's queue and may briefly hold the lock. A new File waits for
	// it.
	if _, err := Open(o).Write([]byte("last\n")); err != nil {
		t.Error(err)
	}
	check(t, "directory", dump(t, o), `-rw-r----- cni-2026-08-01T12-00-00.000.log "first...\nin vain\nin vain\n"
-rw-r----- cni.log "last\n"
`)
}

func TestWriteAfterExternalRotation(t *testing.T) {
	o := testOptions(t)
	f := Open(o)
	for _, line := range []string{"a\n", "b\n"} {
		if _, err := f.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(o.Path, o.Path+"."+line[:1]); err != nil {
			t.Fatal(err)
		}
	}
	check(t, "directory", dump(t, o), "-rw-r----- cni.log.a \"a\\n\"\n-rw-r----- cni.log.b \"b\\n\"\n")
}

func TestOpenCreatesNothing(t *testing.T) {
	o := testOptions(t)
	Open(o)
	Logger(&bytes.Buffer{}, o, slog.LevelInfo).Debug("not said")
	if _, err := os.Stat(filepath.Dir(o.Path)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("directory: %v, want none", err)
	}
}

func TestFullDiskLeavesNoPartialLine(t *testing.T) {
	o := testOptions(t)
	o.Path, o.MaxSize = filepath.Join(disktest.Small(t, "16k"), "cni.log"), 0
	line := strings.Repeat("x", 99) + "\n"
	written := 0
	for {
		n, err := Open(o).Write([]byte(line))
		if err != nil {
			if n != 0 || !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("Write = %d, %v; want 0 and ENOSPC", n, err)
			}
			break
		}
		written++
	}
	if data, err := os.ReadFile(o.Path); err != nil || string(data) != strings.Repeat(line, written) || written == 0 {
		t.Errorf("%d lines written, %d bytes there, %v", written, len(data), err)
	}
	if err := os.Truncate(o.Path, 0); err != nil {
		t.Fatal(err)
	}
	write(t, o, "room")
	check(t, "directory", dump(t, o), "-rw-r----- cni.log \"room\\n\"\n")
}

func TestWriteSucceedsIfRotationFails(t *testing.T) {
	o := testOptions(t)
	write(t, o, "first...")
	// A directory in place of the lock file.
	if err := os.Mkdir(o.Path+".lock", 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	} else if err != nil {
		if err := errors.Join(os.Remove(o.Path+".lock"), os.Mkdir(o.Path+".lock", 0o700)); err != nil {
			t.Fatal(err)
		}
	}
	n, err := Open(o).Write([]byte("second\n"))
	if n != 7 || err == nil || !strings.Contains(err.Error(), "cni.log.lock") {
		t.Errorf("Write = %d, %v; want 7 and an error that names the lock", n, err)
	}
	check(t, "directory", dump(t, o), "-rw-r----- cni.log \"first...\\nsecond\\n\"\n")
}

// undated replaces the time of each log line.
func undated(log string) string {
	return regexp.MustCompile(`(?m)^time=\S+`).ReplaceAllString(log, "time=T")
}

func TestLoggerWritesToFileAndStderr(t *testing.T) {
	o := testOptions(t)
	o.MaxSize = 0
	var stderr bytes.Buffer
	log := Logger(&stderr, o, slog.LevelWarn)
	log.Info("quiet")
	log.With("pod", "shop/cart-0").Warn("loud", "n", 1)
	log.Error("a\nb")
	check(t, "stderr", undated(stderr.String()),
		"time=T level=WARN msg=loud pod=shop/cart-0 n=1\ntime=T level=ERROR msg=\"a\\nb\"\n")
	data, err := os.ReadFile(o.Path)
	if err != nil {
		t.Fatal(err)
	}
	check(t, "file", string(data), stderr.String())
}

func TestLoggerWithoutPathLogsToStderr(t *testing.T) {
	var stderr bytes.Buffer
	Logger(&stderr, Options{}, slog.LevelInfo).Info("hello")
	check(t, "stderr", undated(stderr.String()), "time=T level=INFO msg=hello\n")
}

func TestLoggerReportsFileErrorOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		inTheWay func(path string) error
		want     string
	}{
		"a file in place of the directory": {func(path string) error {
			return os.WriteFile(filepath.Dir(path), nil,
				0o600)
		}, "write log file: open PATH: not a directory"},
		"a directory in its place": {
			func(path string) error { return os.MkdirAll(path, 0o755) },
			"write log file: open PATH: is a directory",
		},
		"a pipe without a reader": {func(path string) error {
			return errors.Join(os.Mkdir(filepath.Dir(path), 0o755), syscall.Mkfifo(path, 0o600))
		}, "write log file: PATH is a FIFO or a socket and not a regular file; remove it, or set log_file_path to " +
			"another path"},
		"a FIFO with a reader": {func(path string) error {
			if err := errors.Join(os.Mkdir(filepath.Dir(path), 0o755), syscall.Mkfifo(path, 0o600)); err != nil {
				return err
			}
			reader, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
			if err == nil {
				t.Cleanup(func() { _ = reader.Close() })
			}
			return err
		}, "write log file: PATH is a FIFO and not a regular file; remove it, or set log_file_path to another path"},
		"a symbolic link to a device": {func(path string) error {
			return errors.Join(os.Mkdir(filepath.Dir(path), 0o755), os.Symlink("/dev/null", path))
		}, "write log file: PATH is a symbolic link and not a regular file; remove it, or set log_file_path to " +
			"another path"},
		"a symbolic link to nothing": {func(path string) error {
			return errors.Join(os.Mkdir(filepath.Dir(path), 0o755), os.Symlink(path+".target", path))
		}, "write log file: PATH is a symbolic link and not a regular file; remove it, or set log_file_path to " +
			"another path"},
	} {
		t.Run(name, func(t *testing.T) {
			o := testOptions(t)
			if err := tt.inTheWay(o.Path); err != nil {
				t.Fatal(err)
			}
			var stderr bytes.Buffer
			log := Logger(&stderr, o, slog.LevelInfo)
			log.Info("one")
			log.Info("two")
			check(t, "stderr", strings.ReplaceAll(undated(stderr.String()), o.Path, "PATH"),
				"time=T level=INFO msg=one\ntime=T level=WARN msg=\"logging to standard error only\" path=PATH "+
					"error=\""+tt.want+"\"\ntime=T level=INFO msg=two\n")
			if _, err := os.Lstat(o.Path + ".target"); err == nil {
				t.Error("the target of the link was created")
			}
		})
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, syscall.EPIPE }

func TestLoggerWritesFileIfStderrIsBroken(t *testing.T) {
	o := testOptions(t)
	o.MaxSize = 0
	Logger(broken{}, o, slog.LevelInfo).Info("still here")
	data, err := os.ReadFile(o.Path)
	if err != nil {
		t.Fatal(err)
	}
	check(t, "file", undated(string(data)), "time=T level=INFO msg=\"still here\"\n")
}
