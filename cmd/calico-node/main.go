// SPDX-License-Identifier: Apache-2.0

// Command calico-node is the node agent. It also has the commands that probes and hooks of Calico's manifests run.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"calico-cni/internal/buildinfo"
	"calico-cni/pkg/agent/command"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	level := new(slog.LevelVar)
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	err := run(ctx, log, level)
	stop()
	if err != nil {
		log.Error("calico-node", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, log *slog.Logger, level *slog.LevelVar) error {
	c, err := command.Parse(os.Args[1:])
	switch {
	case errors.Is(err, command.ErrHelp):
		fmt.Print(command.Usage())
		return nil
	case err != nil:
		return err
	case c.Version:
		fmt.Println(buildinfo.Version)
		return nil
	case c.Probes():
		return probe(ctx, c)
	}
	return runAgent(ctx, log, level)
}
