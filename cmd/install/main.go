// SPDX-License-Identifier: Apache-2.0

// Command install installs the CNI plugins on a node and keeps them installed. It runs as an init container, or as a
// container that watches the node.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"

	"calico-cni/internal/buildinfo"
	"calico-cni/pkg/install"
	"calico-cni/pkg/install/apiclient"
	"calico-cni/pkg/install/config"
	"calico-cni/pkg/install/fault"
	"calico-cni/pkg/install/realhost"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	exit := run(ctx, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	stop()
	os.Exit(exit)
}

func run(ctx context.Context, log *slog.Logger) int {
	cfg, err := config.Parse(os.Args[1:], os.Getenv)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		_, _ = fmt.Print(config.Usage())
		return install.ExitOK
	case err == nil && cfg.Verb == config.VerbVersion:
		_, _ = fmt.Println(buildinfo.Version)
		return install.ExitOK
	case err == nil:
		apiclient.RedirectLog(log)
		deps := realhost.Deps(ctx, cfg, "calico-cni/"+buildinfo.Version, log)
		err = install.Run(ctx, cfg, deps)
	}
	// A dry run and a status print differences: these are their result, not an error.
	printed := errors.Is(err, fault.ErrDiffers) && (cfg.DryRun || cfg.Verb == config.VerbStatus)
	if err != nil && !printed {
		log.Error("install", "error", err)
	}
	return install.ExitCode(err)
}
