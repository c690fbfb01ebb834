// SPDX-License-Identifier: Apache-2.0

package kubed

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gofrs/flock"
)

const (
	goMod = "module example.test/tiny\n\ngo 1.26.0\n"
	hello = "package main\n\nimport \"example.test/tiny/word\"\n\nfunc main() { print(word.Word) }\n"
	word  = "package word\n\nconst Word = \"hello\"\n"
)

// tiny returns a builder for a small module, with a separate cache.
func tiny(t *testing.T) (Builder, *output) {
	t.Helper()
	out := new(output)
	b := Builder{
		Module: t.TempDir(), Cache: filepath.Join(t.TempDir(), "cache"), Flags: []string{"-trimpath"}, Progress: out,
	}
	write(t, b, "go.mod", goMod)
	write(t, b, "main.go", hello)
	write(t, b, "word/word.go", word)
	return b, out
}

func TestPathBuildsOnce(t *testing.T) {
	b, out := tiny(t)
	first := build(t, b)
	if got := run(t, first); got != "hello" {
		t.Errorf("binary prints %q, want hello", got)
	}
	// The messages in between depend on Go's build cache.
	for _, word := range []string{"kubed: listing packages to compile", "kubed: built"} {
		if !strings.Contains(out.String(), word) {
			t.Errorf("no %q in %q", word, out)
		}
	}
	out.Reset()
	if second := build(t, b); second != first || out.String() != "" {
		t.Errorf("second path is %s, output %q; want %s and no output", second, out, first)
	}
}

func TestPathChangesWithInputsOfBuild(t *testing.T) {
	b, _ := tiny(t)
	before := build(t, b)
	for _, change := range []struct {
		name    string
		change  func()
		differs bool
	}{
		{"test file", func() { write(t, b, "main_test.go", "package main\n") }, false},
		{"source file", func() { write(t, b, "word/word.go", strings.Replace(word, "hello", "bye", 1)) }, true},
		{"new file", func() { write(t, b, "data.txt", "x") }, true},
		{"flags", func() { b.Flags = append(b.Flags, "-ldflags=-s") }, true},
	} {
		change.change()
		after := build(t, b)
		if (after != before) != change.differs {
			t.Errorf("%s: path was %s and is %s", change.name, before, after)
		}
		before = after
	}
	if got := run(t, before); got != "bye" {
		t.Errorf("binary prints %q, want bye", got)
	}
}

// TestServerOnlyPrefersCompleteBinary uses a module whose main prints the build tag.
func TestServerOnlyPrefersCompleteBinary(t *testing.T) {
	b, out := tiny(t)
	write(t, b, "main.go", "package main\n\nfunc main() { print(what) }\n")
	write(t, b, "all.go", "//go:build !serveronly\n\npackage main\n\nconst what = \"all\"\n")
	write(t, b, "server.go", "//go:build serveronly\n\npackage main\n\nconst what = \"server\"\n")
	small, err := b.serverOnly(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := run(t, small); got != "server" {
		t.Errorf("first: binary prints %q, want server", got)
	}
	whole := build(t, b)
	if got := run(t, whole); got != "all" {
		t.Errorf("complete binary prints %q, want all", got)
	}
	out.Reset()
	if got, err := b.serverOnly(t.Context()); err != nil || got != whole || out.String() != "" {
		t.Errorf("second: %s, %v, output %q; want %s and no output", got, err, out, whole)
	}
}

func TestDamagedBinaryIsRebuilt(t *testing.T) {
	for name, damage := range map[string]func(file string) error{
		"truncated":  func(file string) error { return os.Truncate(file, 1000) },
		"empty":      func(file string) error { return os.Truncate(file, 0) },
		"overwrite":  func(file string) error { return flip(file) },
		"missing":    os.Remove,
		"no digest":  func(file string) error { return os.Remove(file + ".sha256") },
		"other file": func(file string) error { return os.WriteFile(file, []byte("#!/bin/sh\n"), 0o755) },
	} {
		t.Run(name, func(t *testing.T) {
			b, _ := tiny(t)
			if err := damage(build(t, b)); err != nil {
				t.Fatal(err)
			}
			if got := run(t, build(t, b)); got != "hello" {
				t.Errorf("binary prints %q, want hello", got)
			}
		})
	}
}

func TestConcurrentCallsBuildOnce(t *testing.T) {
	b, _ := tiny(t)
	outs := make([]output, 4)
	paths := make([]string, len(outs))
	var all sync.WaitGroup
	for i := range outs {
		all.Go(func() {
			b := b
			b.Progress = &outs[i]
			paths[i], _ = b.Path(t.Context())
		})
	}
	all.Wait()
	builds := 0
	for i := range outs {
		builds += strings.Count(outs[i].String(), "listing packages to compile")
		if paths[i] == "" || paths[i] != paths[0] {
			t.Errorf("paths differ: %q", paths)
		}
	}
	if builds != 1 {
		t.Errorf("%d builds, want 1", builds)
	}
}

func TestWaitForLockIsReportedAndCanBeInterrupted(t *testing.T) {
	b, out := tiny(t)
	if err := os.MkdirAll(b.Cache, 0o755); err != nil {
		t.Fatal(err)
	}
	other := flock.New(filepath.Join(b.Cache, "kubed.lock"))
	if err := other.Lock(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Unlock() }()
	ctx, cancel := context.WithCancel(t.Context())
	out.onWrite = cancel
	if _, err := b.Path(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want context canceled", err)
	}
	if want := "kubed: another process is building, waiting for it\n"; out.String() != want {
		t.Errorf("output is %q, want %q", out, want)
	}
}

func TestInterruptedBuildLeavesNothing(t *testing.T) {
	b, out := tiny(t)
	ctx, cancel := context.WithCancel(t.Context())
	out.onWrite = cancel
	if _, err := b.Path(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want context canceled", err)
	}
	wantCache(t, b, "kubed.lock")
}

func TestBuildInterruptedInCompilerLeavesNothing(t *testing.T) {
	b, _ := tiny(t)
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	// The go command runs this script instead of every tool. It ends when the pipe is closed.
	tool := filepath.Join(t.TempDir(), "tool")
	if err := os.WriteFile(tool, []byte("#!/bin/sh\nexec cat "+pipe+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	b.Flags = append(b.Flags, "-toolexec="+tool)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := b.Path(ctx)
		failed <- err
	}()
	// OpenFile blocks until the first tool opens the pipe.
	w, err := os.OpenFile(pipe, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want context canceled", err)
	}
	wantCache(t, b, "kubed.lock")
}

func TestBuildErrorContainsCompilerOutput(t *testing.T) {
	b, _ := tiny(t)
	write(t, b, "word/word.go", "package word\n\nconst Word = missing\n")
	_, err := b.Path(t.Context())
	failed, ok := errors.AsType[*OutputError](err)
	if !ok || !strings.Contains(failed.Output, "word/word.go:3:14: undefined: missing") {
		t.Errorf("error is %v, want the output of the compiler", err)
	}
	if strings.Contains(err.Error(), "\nexample.test/tiny/word") {
		t.Errorf("error has lines of progress: %v", err)
	}
	wantCache(t, b, "kubed.lock")
}

func TestBuildRemovesLeftoversAndUnusedBinaries(t *testing.T) {
	b, _ := tiny(t)
	for i, name := range []string{
		"building-killed", "kubed-oldest", "kubed-older", "kubed-old", "kubed-recent", "kubed-new",
	} {
		dir := filepath.Join(b.Cache, name)
		used := time.Now().Add(time.Duration(i-10) * time.Hour)
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.Chtimes(dir, used, used)); err != nil {
			t.Fatal(err)
		}
	}
	built := build(t, b)
	wantCache(t, b, "kubed-new", "kubed-recent", "kubed-old", filepath.Base(filepath.Dir(built)), "kubed.lock")
}

// build returns the builder's path, or fails the test.
func build(t *testing.T, b Builder) string {
	t.Helper()
	p, err := b.Path(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// run returns the output of the binary.
func run(t *testing.T, binary string) string {
	t.Helper()
	out, err := exec.Command(binary).CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// write writes a file of the module.
func write(t *testing.T, b Builder, name, content string) {
	t.Helper()
	file := filepath.Join(b.Module, name)
	err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(content), 0o644))
	if err != nil {
		t.Fatal(err)
	}
}

// flip changes one byte in the middle of a file.
func flip(file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	data[len(data)/2] ^= 1
	return os.WriteFile(file, data, 0o755)
}

// wantCache compares the names in the cache.
func wantCache(t *testing.T, b Builder, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(b.Cache)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, entry := range entries {
		got = append(got, entry.Name())
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("cache has %q, want %q", got, want)
	}
}

// output is a buffer that may call a function at the first write, for several goroutines.
type output struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	onWrite func()
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.onWrite != nil {
		o.onWrite()
	}
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

func (o *output) Reset() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buf.Reset()
}
