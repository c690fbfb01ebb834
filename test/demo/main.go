// SPDX-License-Identifier: Apache-2.0

// Command demo shows the product at work: it plays a node in namespaces of its own, with a real API server, installs
// the plugins there as a cluster would, and attaches pods through cnitool. Nothing of the host is touched, and nothing
// is left however it ends.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"calico-cni/test/kubed"
	"calico-cni/test/node"
	"calico-cni/test/sandbox"
)

func main() {
	pods := flag.Int("pods", 6, "how many pods to attach, at least 2")
	deploy := flag.String("deploy", "../deploy", "the project's directory deploy")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	exit, err := run(ctx, max(*pods, 2), *deploy)
	interrupted := ctx.Err() != nil
	stop()
	switch {
	case interrupted && sandbox.Inside():
		exit = 130
	case interrupted:
		fmt.Println("\ninterrupted: the node and everything on it is gone")
		exit = 130
	case err != nil:
		fmt.Fprintln(os.Stderr, "\ndemo:", err)
		exit = max(exit, 1)
	}
	os.Exit(exit)
}

func run(ctx context.Context, pods int, deploy string) (exit int, err error) {
	if !sandbox.Inside() {
		return outside(ctx)
	}
	started := time.Now()
	if err := sandbox.Enter(); err != nil {
		return 1, err
	}
	fmt.Println("starting a node in namespaces of its own: API server, CRDs, service accounts with their roles")
	n, err := node.Start(ctx, node.Options{
		Kubed: os.Getenv("DEMO_KUBED"), Tools: os.Getenv("DEMO_TOOLS"), Deploy: deploy, Dir: "/run/demo",
	})
	if err != nil {
		return 1, err
	}
	s := show{Node: n, out: os.Stdout}
	err = errors.Join(s.play(ctx, pods), n.Server.Stop())
	if err == nil {
		fmt.Printf("\nall well, after %.1f s\n", time.Since(started).Seconds())
	}
	return 0, err
}

// outside builds the programs, once, and starts the sandbox.
func outside(ctx context.Context) (int, error) {
	binary, err := kubed.ServerPath(ctx, os.Stderr)
	if err != nil {
		return 1, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return 1, err
	}
	tools := filepath.Join(cache, "calico-cni", "demo")
	if err := os.MkdirAll(tools, 0o755); err != nil {
		return 1, err
	}
	fmt.Println("building the plugins")
	if err := node.Build(ctx, tools); err != nil {
		return 1, err
	}
	return sandbox.Run("DEMO_KUBED="+binary, "DEMO_TOOLS="+tools)
}
