// SPDX-License-Identifier: Apache-2.0

// Package realhost has the effects of an installation on a real host: the clock, the network, changes of files, the API
// server, and the plugins' queue of releases. `install` and the node agent use it.
package realhost

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"os"
	"time"

	"calico-cni/pkg/install"
	"calico-cni/pkg/install/config"
	"calico-cni/pkg/install/tokens"
)

// Deps returns the effects that an installation with a configuration needs. If the installation watches, they watch the
// files of the host until the context ends.
func Deps(ctx context.Context, cfg config.Config, userAgent string, log *slog.Logger) install.Deps {
	group := groupChoice(cfg, userAgent, log)
	deps := install.Deps{
		Group:    group,
		Tokens:   tokens.Issuer{Config: cfg, UserAgent: userAgent, Log: log},
		Hostname: os.Hostname, LinkMTU: linkMTU, Now: time.Now, Spread: rand.Float64,
		Out: os.Stdout, Log: log,
	}
	if cfg.Watch {
		deps.Wake = changes(ctx, cfg, log)
	}
	if cfg.Watch || cfg.Verb == config.VerbUninstall {
		deps.Backlog = backlog(cfg, userAgent, group, log)
	}
	return deps
}
