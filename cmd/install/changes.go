// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"

	"calico-cni/pkg/install/config"
)

const (
	// interval is the time between checks without events. They also find a changed clock and what inotify does not report.
	interval = 5 * time.Second
	// debounce collects the events of one program that writes several times.
	debounce = 200 * time.Millisecond
)

// changes returns a channel that wakes a watching installer: when files change in the directories that it manages, and
// at intervals. If the kernel refuses more watches, the intervals remain.
func changes(ctx context.Context, cfg config.Config, log *slog.Logger) <-chan struct{} {
	wake := make(chan struct{}, 1)
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		log.Warn("changes of files are found by looking only", "every", interval, "error", err)
		watcher = &fsnotify.Watcher{}
	} else {
		addDirs(watcher, cfg, log)
	}
	go func() {
		defer func() {
			if err == nil {
				_ = watcher.Close()
			}
		}()
		forward(ctx, watcher, wake, log)
	}()
	return wake
}

func addDirs(watcher *fsnotify.Watcher, cfg config.Config, log *slog.Logger) {
	for _, dir := range cfg.MonitoredDirs() {
		if err := watcher.Add(filepath.Clean(dir)); err != nil {
			log.Debug("directory is looked at by the clock only", "dir", dir, "error", err)
		}
	}
}

// forward sends on wake, once for all changes within debounce.
func forward(ctx context.Context, watcher *fsnotify.Watcher, wake chan<- struct{}, log *slog.Logger) {
	ticks := time.NewTicker(interval)
	defer ticks.Stop()
	var debounced <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-watcher.Events:
			if debounced == nil {
				debounced = time.After(debounce)
			}
			continue
		case err := <-watcher.Errors:
			log.Warn("changes may have been missed, and are looked for", "error", err)
		case <-debounced:
			debounced = nil
		case <-ticks.C:
		}
		select {
		case wake <- struct{}{}:
		default:
		}
	}
}
