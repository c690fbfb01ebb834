// SPDX-License-Identifier: Apache-2.0

// Command demo demonstrates the plugins: it creates a node in separate namespaces with a real API server, installs the
// plugins as in a cluster, and attaches pods with cnitool. It does not change the host and leaves nothing behind, even
// if it is killed.
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

	"calico-cni/test/apiserver"
	"calico-cni/test/kubed"
	"calico-cni/test/node"
	"calico-cni/test/sandbox"
)

func main() {
	pods := flag.Int("pods", 6, "number of pods to attach, at least 2")
	group := flag.String("group", apiserver.V3, "API group of Calico's objects, or "+apiserver.V1)
	deploy := flag.String("deploy", "../deploy", "the project's directory deploy")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	exit, err := run(ctx, max(*pods, 2), *group, *deploy)
	interrupted := ctx.Err() != nil
	stop()
	switch {
	case interrupted && sandbox.Inside():
		exit = 130
	case interrupted:
		fmt.Println("\ninterrupted: the node and its pods are removed")
		exit = 130
	case err != nil:
		fmt.Fprintln(os.Stderr, "\ndemo:", err)
		exit = max(exit, 1)
	}
	os.Exit(exit)
}

func run(ctx context.Context, pods int, group, deploy string) (exit int, err error) {
	if !sandbox.Inside() {
		return outside(ctx)
	}
	started := time.Now()
	if err := sandbox.Enter(); err != nil {
		return 1, err
	}
	fmt.Println("starting a node in separate namespaces: API server, CRDs, service accounts with their roles")
	n, err := node.Start(ctx, node.Options{
		Kubed: os.Getenv("DEMO_KUBED"), Tools: os.Getenv("DEMO_TOOLS"), Deploy: deploy, Dir: "/run/demo",
		Group: group,
	})
	if err != nil {
		return 1, err
	}
	s := show{node: n, out: os.Stdout}
	err = errors.Join(s.run(ctx, pods), n.Server.Stop())
	if err == nil {
		fmt.Printf("\nsuccess after %.1f s\n", time.Since(started).Seconds())
	}
	return 0, err
}

// outside builds the programs and runs this program again in a sandbox.
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
