// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"context"
	"log/slog"
	"time"
)

// Host is the host whose installation is kept.
type Host interface {
	// Install installs everything.
	Install(ctx context.Context) error
	// Prepare reads the configuration again and returns why it cannot be written. It writes no file that the plugins read.
	Prepare(ctx context.Context) error
	// Installed is called after the first installation.
	Installed()
	// Save writes the record of what was installed.
	Save() error
}

// Options configure a watcher.
type Options struct {
	Host Host
	// Parts of the installation, in the order in which they are checked.
	Parts []*Part
	// Permanent reports whether a retry cannot help. It applies to the first installation.
	Permanent func(error) bool
	// Backlog may be nil.
	Backlog Backlog
	// OnStop is called when the watcher stops, with a context that is not canceled. It may be nil.
	OnStop func(ctx context.Context) error
	// RenewsAt returns when the token is renewed next, for the log.
	RenewsAt func() time.Time
	// Address is the host:port of readiness and metrics, empty for none.
	Address string
	Notes   *Notes
	Now     func() time.Time
	// Spread returns a random number in [0, 1).
	Spread func() float64
	Log    *slog.Logger
}
