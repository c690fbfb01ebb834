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
		fmt.Println("the cluster is running already")
		return s.usage()
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

// usage says how to use the running cluster.
func (s state) usage() error {
	kubed, err := os.ReadFile(s.file("kubed"))
	if err != nil {
		return errors.New("it is still starting, or has not got far: see " + s.file("cluster.log") + ", or make cluster-down")
	}
	fmt.Printf(`
  export KUBECONFIG=%s
  alias kubectl='%s kubectl'
  kubectl get nodes

  bin/cluster shell node-1            a shell on a node; ctr, iptables and logs in /var/log are there
  kubectl run web --image=%s --image-pull-policy=Never -- serve 80

  make cluster-down                   ends it
`, s.file("kubeconfig"), kubed, parts.Probe)
	return nil
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
