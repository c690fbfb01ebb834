// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/fsnotify/fsnotify"

	"calico-cni/pkg/install/config"
)

// TestEveryMonitoredDirectoryHasAWatch waits for the kernel's events only, not for the clock.
func TestEveryMonitoredDirectoryHasAWatch(t *testing.T) {
	root := t.TempDir()
	cfg := config.Config{HostRoot: root, ServiceAccountDir: filepath.Join(root, "sa"), NodeFiles: true}
	dirs := cfg.MonitoredDirs()
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = watcher.Close() }()
	addDirs(watcher, cfg, slog.New(slog.DiscardHandler))
	for _, dir := range dirs {
		path := filepath.Join(dir, "f")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if e := <-watcher.Events; e.Name != path {
			t.Errorf("event %s; want one of %s", e, path)
		}
	}
}

func TestIntervalsWakeWithoutWatches(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	wake := make(chan struct{}, 1)
	done := make(chan struct{})
	go func() { forward(ctx, &fsnotify.Watcher{}, wake, slog.New(slog.DiscardHandler)); close(done) }()
	<-wake
	stop()
	<-done
}
