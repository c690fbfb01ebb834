// SPDX-License-Identifier: Apache-2.0

package realhost

import (
	"context"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"

	"calico-cni/pkg/install/config"
)

const (
	// interval is the time between checks without events. These checks find a changed clock, and changes that inotify does
	// not report.
	interval = 5 * time.Second
	// debounce collects the events of one program that writes several times.
	debounce = 200 * time.Millisecond
)

// changes returns a channel that wakes a watching installer: when files change in the monitored directories, and at
// intervals. If the kernel refuses more watches, only the intervals remain.
func changes(ctx context.Context, cfg config.Config, log *slog.Logger) <-chan struct{} {
	wake := make(chan struct{}, 1)
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		log.Warn("changes of files are found by polling only", "every", interval, "error", err)
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
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		forward(ctx, watcher, ticker.C, wake, log)
	}()
	return wake
}

func addDirs(watcher *fsnotify.Watcher, cfg config.Config, log *slog.Logger) {
	for _, dir := range cfg.MonitoredDirs() {
		if err := watcher.Add(filepath.Clean(dir)); err != nil {
			log.Debug("directory is polled only", "dir", dir, "error", err)
		}
	}
}

// forward sends on wake at each tick, and once for all changes within debounce.
func forward(
	ctx context.Context, watcher *fsnotify.Watcher, ticks <-chan time.Time, wake chan<- struct{}, log *slog.Logger,
) {
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
			log.Warn("changes may have been missed; checking all files", "error", err)
		case <-debounced:
			debounced = nil
		case <-ticks:
		}
		select {
		case wake <- struct{}{}:
		default:
		}
	}
}
