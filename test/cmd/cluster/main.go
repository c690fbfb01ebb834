// SPDX-License-Identifier: Apache-2.0

// Command cluster runs a Kubernetes cluster on the project's plugins, in namespaces of this machine:
//
//	cluster up [--nodes N]       starts it and says how to use it; does nothing but the latter when it runs
//	cluster down                 ends it, with all that it has made
//	cluster shell NODE [CMD...]  runs a shell or a command on a node
//
// Before the command --state DIR names another directory than the usual one, and so another cluster beside it.
// It takes root, and lives until it is ended or the machine is.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"calico-cni/test/machine"
	"calico-cni/test/sandbox"
)

func main() {
	machine.Main()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	var ended *exec.ExitError
	switch {
	case errors.As(err, &ended) && !sandbox.Inside():
		os.Exit(max(ended.ExitCode(), 1))
	case errors.Is(err, context.Canceled):
		os.Exit(130)
	case err != nil:
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	s, args, err := parse(args)
	if err != nil {
		return err
	}
	switch args[0] {
	case "up":
		fs := flag.NewFlagSet("cluster up", flag.ContinueOnError)
		nodes := fs.Int("nodes", 3, "how many nodes, 1 to 9")
		if err := fs.Parse(args[1:]); err != nil {
			return err
		}
		if *nodes < 1 || *nodes > 9 {
			return errors.New("--nodes must be 1 to 9")
		}
		if sandbox.Inside() {
			return inside(ctx, s, *nodes)
		}
		return up(ctx, s)
	case "down":
		return down(s)
	case "shell":
		if len(args) < 2 {
			return errors.New("name the node, node-1 for one")
		}
		return shell(ctx, s, args[1], args[2:])
	}
	return fmt.Errorf("no command %q: use up, down or shell NODE", args[0])
}

// parse returns the state and the command with its arguments.
func parse(args []string) (state, []string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return state{}, nil, err
	}
	fs := flag.NewFlagSet("cluster", flag.ContinueOnError)
	usual := filepath.Join(cache, "calico-cni", "cluster")
	dir := fs.String("state", usual, "`directory` of the cluster's state; not below /run, /tmp or /var, which nodes have of their own")
	if err := fs.Parse(args); err != nil {
		return state{}, nil, err
	}
	if fs.NArg() == 0 {
		return state{}, nil, errors.New("name a command: up, down or shell NODE")
	}
	absolute, err := filepath.Abs(*dir)
	return state{dir: absolute, usual: absolute == usual}, fs.Args(), err
}

// shell runs a command on a node: first in the sandbox, whose process IDs the node's is one of, then in the node.
func shell(ctx context.Context, s state, node string, command []string) error {
	pid, running := s.running()
	if !running {
		return fmt.Errorf("%w: start it with %s up", errNotRunning, s.command())
	}
	first, err := os.ReadFile(s.file("pid-" + filepath.Base(node)))
	if err != nil {
		return fmt.Errorf("no node %s: %w", node, err)
	}
	path, err := os.ReadFile(s.file("path"))
	if err != nil {
		return err
	}
	if len(command) == 0 {
		command = []string{"sh"}
	}
	args := []string{"-t", fmt.Sprint(pid), "-m", "-p", "-n", "-u", "--", "nsenter", "-t", string(first), "-m", "-n", "-p", "-u", "-i", "-C", "--"}
	cmd := exec.CommandContext(ctx, "nsenter", append(args, command...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "PATH="+string(path), "CONTAINERD_NAMESPACE=k8s.io")
	return cmd.Run()
}
