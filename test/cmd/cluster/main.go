// SPDX-License-Identifier: Apache-2.0

// Command cluster runs a Kubernetes cluster with the project's plugins, in namespaces of this machine:
//
//	cluster up [--nodes N]       starts the cluster, if it is not running, and prints how to use it
//	cluster down                 ends the cluster and removes everything that it created
//	cluster shell NODE [CMD...]  runs a shell or a command on a node
//
// The flag --state DIR before the command selects another directory, and therefore another cluster.
// The command needs root. The cluster runs until `cluster down` or a reboot.
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
		nodes := fs.Int("nodes", 3, "number of nodes, 1 to 9")
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
			return errors.New("name a node, for example node-1")
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
	standard := filepath.Join(cache, "calico-cni", "cluster")
	dir := fs.String("state", standard,
		"`directory` of the cluster's state; not below /run, /tmp or /var, which are separate on each node")
	if err := fs.Parse(args); err != nil {
		return state{}, nil, err
	}
	if fs.NArg() == 0 {
		return state{}, nil, errors.New("name a command: up, down or shell NODE")
	}
	absolute, err := filepath.Abs(*dir)
	return state{dir: absolute, standard: absolute == standard}, fs.Args(), err
}

// shell runs a command on a node. It enters the sandbox first, because the process ID of the node belongs to it.
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
	args := []string{"-t", fmt.Sprint(pid), "-m", "-p", "-n", "-u", "--", "nsenter"}
	args = append(append(args, machine.NsenterArgs(string(first))...), command...)
	cmd := exec.CommandContext(ctx, "nsenter", args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "PATH="+string(path), "CONTAINERD_NAMESPACE=k8s.io")
	return cmd.Run()
}
