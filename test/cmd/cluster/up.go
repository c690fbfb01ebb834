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

// What the first process inherits, beside the standard files.
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
		return s.again()
	}
	defer lock.Close()
	if err := s.clean(); err != nil {
		return err
	}
	p, err := parts.Build(ctx, s.file("parts"), os.Stderr)
	if err != nil {
		return err
	}
	group, err := cgroup.Make(s.group())
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

// launch starts the first process and waits until it is ready. If it does not get there, or ctx ends, it is killed.
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
	ready, told, err := os.Pipe()
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
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = log, log, []*os.File{lock, told, socket}
	cmd.SysProcAttr.Setsid = true
	if err := errors.Join(cmd.Start(), told.Close()); err != nil {
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
	said, _ := os.ReadFile(log.Name())
	return errors.Join(err, fmt.Errorf("the cluster did not start:\n%s", said))
}

// again says of a cluster that is running which one it is. An error tells that it runs the plugins of another checkout.
func (s state) again() error {
	root, err := parts.Root(context.Background())
	if err != nil {
		return err
	}
	text, err := s.describe(root)
	fmt.Print(text)
	return err
}

// describe says which cluster is running to somebody in the checkout root, and how to use it.
func (s state) describe(root string) (string, error) {
	help, err := s.help()
	if err != nil {
		return "", err
	}
	checkout, err := os.ReadFile(s.file("checkout"))
	if err != nil {
		return "", fmt.Errorf("find out whose cluster is running: %w", err)
	}
	text := "the cluster is running already, with the plugins of " + string(checkout) + "\n" + help
	if string(checkout) != root {
		return text, fmt.Errorf("the running cluster is that of another checkout, %s: end it with %s, or start another beside it with bin/cluster --state DIR up",
			checkout, s.ending())
	}
	return text, nil
}

// usage says how to use the running cluster.
func (s state) usage() error {
	text, err := s.help()
	fmt.Print(text)
	return err
}

// help is how to use the running cluster. Every command in it acts on this cluster.
func (s state) help() (string, error) {
	kubed, err := os.ReadFile(s.file("kubed"))
	if err != nil {
		return "", errors.New("it is still starting, or has not got far: see " + s.file("cluster.log") + ", or " + s.ending())
	}
	return fmt.Sprintf(`
  export KUBECONFIG=%s
  alias kubectl='%s kubectl'
  kubectl get nodes

  kubectl run web --image=%s --image-pull-policy=Never -- serve 80

a shell on a node, with ctr, iptables and the logs in /var/log:
  %s shell node-1

end it:
  %s
`, s.file("kubeconfig"), kubed, parts.Probe, s.command(), s.ending()), nil
}

// down ends the cluster if there is one, and removes what it has left.
func down(s state) error {
	if err := s.end(); err != nil {
		return err
	}
	lock, ok, err := s.lock()
	if err != nil {
		return err
	}
	if !ok {
		return errors.New("a cluster is being started: interrupt that")
	}
	defer lock.Close()
	return s.clean()
}
