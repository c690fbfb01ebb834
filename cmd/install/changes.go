package main

import (
	"context"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"

	"calico-cni/pkg/install"
)

const (
	// tick is how often to look without being told. It also finds a clock that was set, and what inotify does not see.
	tick = 5 * time.Second
	// gather is how long changes are gathered: a program that writes makes several.
	gather = 200 * time.Millisecond
)

// changes returns what a watching installer is woken by: files that change in the directories that it keeps, and the
// clock. Where the kernel has no more watches to give, the clock has to do.
func changes(ctx context.Context, cfg install.Config, log *slog.Logger) <-chan struct{} {
	wake := make(chan struct{}, 1)
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		log.Warn("changes of files are found by looking only", "every", tick, "error", err)
		watcher = &fsnotify.Watcher{}
	} else {
		follow(watcher, cfg, log)
	}
	go func() {
		defer func() {
			if err == nil {
				_ = watcher.Close()
			}
		}()
		pass(ctx, watcher, wake, log)
	}()
	return wake
}

func follow(watcher *fsnotify.Watcher, cfg install.Config, log *slog.Logger) {
	for _, dir := range cfg.Followed() {
		if err := watcher.Add(filepath.Clean(dir)); err != nil {
			log.Debug("directory is looked at by the clock only", "dir", dir, "error", err)
		}
	}
}

// pass wakes whoever listens, once for all changes that come together.
func pass(ctx context.Context, watcher *fsnotify.Watcher, wake chan<- struct{}, log *slog.Logger) {
	ticks := time.NewTicker(tick)
	defer ticks.Stop()
	var gathered <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-watcher.Events:
			if gathered == nil {
				gathered = time.After(gather)
			}
			continue
		case err := <-watcher.Errors:
			log.Warn("changes may have been missed, and are looked for", "error", err)
		case <-gathered:
			gathered = nil
		case <-ticks.C:
		}
		select {
		case wake <- struct{}{}:
		default:
		}
	}
}
