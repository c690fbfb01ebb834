// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"calico-cni/test/cgroup"
	"calico-cni/test/cluster"
	"calico-cni/test/parts"
	"calico-cni/test/sandbox"
)

// File descriptors that the first process inherits, besides the standard ones.
const (
	fdLock = 3 + iota
	fdReady
	fdListener
)

// up builds all parts, starts the cluster's first process, and returns when the cluster is ready.
func up(ctx context.Context, s state) error {
	lock, ok, err := s.lock()
	if err != nil {
		return err
	}
	if !ok {
		return s.reportRunning()
	}
	defer lock.Close()
	if err := s.clean(); err != nil {
		return err
	}
	p, err := parts.Build(ctx, s.file("parts"), os.Stderr)
	if err != nil {
		return err
	}
	group, err := cgroup.Create(s.group())
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.file("checkout"), []byte(p.Root), 0o600); err != nil {
		return err
	}
	fmt.Println("starting the cluster")
	started := time.Now()
	if err := s.launch(ctx, lock, p, group); err != nil {
		return errors.Join(err, s.clean())
	}
	fmt.Printf("ready after %.1f s\n", time.Since(started).Seconds())
	return s.usage()
}

// launch starts the first process and waits until it is ready. It kills the process if the start fails or ctx ends.
func (s state) launch(ctx context.Context, lock *os.File, p parts.Parts, group cgroup.Group) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer listener.Close()
	socket, err := listener.(*net.TCPListener).File()
	if err != nil {
		return err
	}
	defer socket.Close()
	ready, notify, err := os.Pipe()
	if err != nil {
		return err
	}
	defer ready.Close()
	spec, err := json.Marshal(cluster.Options{Parts: p, Group: group, Dir: "/run/cluster"})
	if err != nil {
		return err
	}
	log, err := os.Create(s.file("cluster.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd, err := sandbox.Command("CLUSTER_OPTIONS="+string(spec), "CLUSTER_URL=https://"+listener.Addr().String())
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = log, log, []*os.File{lock, notify, socket}
	cmd.SysProcAttr.Setsid = true
	if err := errors.Join(cmd.Start(), notify.Close()); err != nil {
		return fmt.Errorf("start sandbox: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	err = os.WriteFile(s.file("pid"), fmt.Append(nil, cmd.Process.Pid), 0o644)
	line, _ := bufio.NewReader(ready).ReadString('\n')
	if err == nil && line == "ready\n" {
		return nil
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	text, _ := os.ReadFile(log.Name())
	return errors.Join(err, fmt.Errorf("the cluster did not start:\n%s", text))
}

// reportRunning describes the running cluster. It is an error if its plugins are from another checkout.
func (s state) reportRunning() error {
	root, err := parts.Root(context.Background())
	if err != nil {
		return err
	}
	text, err := s.describe(root)
	fmt.Print(text)
	return err
}

// describe describes the running cluster, for a user in the checkout root.
func (s state) describe(root string) (string, error) {
	help, err := s.help()
	if err != nil {
		return "", err
	}
	checkout, err := os.ReadFile(s.file("checkout"))
	if err != nil {
		return "", fmt.Errorf("read checkout of running cluster: %w", err)
	}
	text := "the cluster is already running, with the plugins of " + string(checkout) + "\n" + help
	if string(checkout) != root {
		return text, fmt.Errorf("the running cluster belongs to another checkout, %s: end it with %s, or start another one "+
			"with bin/cluster --state DIR up", checkout, s.stopCommand())
	}
	return text, nil
}

// usage prints how to use the running cluster.
func (s state) usage() error {
	text, err := s.help()
	fmt.Print(text)
	return err
}

// help returns instructions for the running cluster. All commands in them act on this cluster.
func (s state) help() (string, error) {
	kubed, err := os.ReadFile(s.file("kubed"))
	if err != nil {
		return "", fmt.Errorf("the cluster is still starting or failed to start: see %s, or run %s",
			s.file("cluster.log"), s.stopCommand())
	}
	return fmt.Sprintf(`
  export KUBECONFIG=%s
  alias kubectl='%s kubectl'
  kubectl get nodes

  kubectl run web --image=%s --image-pull-policy=Never -- serve 80

open a shell on a node, with ctr, iptables and the logs in /var/log:
  %s shell node-1

end the cluster:
  %s
`, s.file("kubeconfig"), kubed, parts.Probe, s.command(), s.stopCommand()), nil
}

// down ends the cluster if it is running, and removes its leftovers.
func down(s state) error {
	if err := s.end(); err != nil {
		return err
	}
	lock, ok, err := s.lock()
	if err != nil {
		return err
	}
	if !ok {
		return errors.New("the cluster is being started: interrupt the command that starts it")
	}
	defer lock.Close()
	return s.clean()
}
