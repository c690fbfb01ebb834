// SPDX-License-Identifier: Apache-2.0

package realhost

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"

	"calico-cni/pkg/install/config"
)

// TestEveryMonitoredDirectoryHasAWatch waits only for events of the kernel, not for the clock.
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
	ticks := make(chan time.Time)
	go func() { forward(ctx, &fsnotify.Watcher{}, ticks, wake, slog.New(slog.DiscardHandler)); close(done) }()
	ticks <- time.Now()
	<-wake
	stop()
	<-done
}
