// SPDX-License-Identifier: Apache-2.0

// Command demo demonstrates the plugins and the node agent, each in separate namespaces with a real API server. It first
// creates a node, installs the plugins as in a cluster, and attaches pods with cnitool. Then it creates two nodes in
// different subnets, whose pods reach each other through calico-node. It does not change the host and leaves nothing
// behind, even if it is killed.
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
	"calico-cni/test/fleet"
	"calico-cni/test/kubed"
	"calico-cni/test/machine"
	"calico-cni/test/node"
	"calico-cni/test/sandbox"
)

func main() {
	machine.Main()
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
	if err := sandbox.Enter(); err != nil {
		return 1, err
	}
	started := time.Now()
	part := showNode
	if os.Getenv("DEMO_PART") == "nodes" {
		part = showNodes
	}
	if err := part(ctx, pods, group, deploy); err != nil {
		return 1, err
	}
	fmt.Printf("\nsuccess after %.1f s\n", time.Since(started).Seconds())
	return 0, nil
}

// showNode shows the plugins on one node.
func showNode(ctx context.Context, pods int, group, deploy string) error {
	fmt.Println("starting a node in separate namespaces: API server, CRDs, service accounts with their roles")
	n, err := node.Start(ctx, node.Options{
		Kubed: os.Getenv("DEMO_KUBED"), Tools: os.Getenv("DEMO_TOOLS"), Deploy: deploy, Dir: "/run/demo",
		Group: group,
	})
	if err != nil {
		return err
	}
	s := show{node: n, out: os.Stdout}
	return errors.Join(s.run(ctx, pods), n.Server.Stop())
}

// showNodes shows the node agent on two nodes in different subnets.
func showNodes(ctx context.Context, _ int, group, deploy string) error {
	fmt.Println("\nstarting two nodes in two subnets behind a router: plugins and calico-node, with their own service accounts")
	f, err := fleet.Start(ctx, fleet.Options{
		Kubed: os.Getenv("DEMO_KUBED"), Tools: os.Getenv("DEMO_TOOLS"), Deploy: deploy, Dir: "/run/fleet",
		APIGroup: group, Subnets: []int{0, 1}, Pools: fleetPools,
	})
	if err != nil {
		return err
	}
	return errors.Join(nodesShow{fleet: f, out: os.Stdout}.run(ctx), f.Stop())
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
	fmt.Println("building the plugins and the agent")
	if err := node.Build(ctx, tools); err != nil {
		return 1, err
	}
	// Each part has namespaces of its own.
	for _, part := range []string{"node", "nodes"} {
		exit, err := sandbox.Run("DEMO_KUBED="+binary, "DEMO_TOOLS="+tools, "DEMO_PART="+part)
		if err != nil || exit != 0 {
			return exit, err
		}
	}
	return 0, nil
}
