package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

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
	interrupted := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer interrupted()
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

// inside is the first process: it starts the cluster and keeps it until SIGTERM.
func inside(ctx context.Context, s state, nodes int) error {
	for fd := fdLock; fd <= fdListener; fd++ {
		unix.CloseOnExec(fd)
	}
	if err := sandbox.Enter(); err != nil {
		return err
	}
	var o cluster.Options
	if err := json.Unmarshal([]byte(os.Getenv("CLUSTER_OPTIONS")), &o); err != nil {
		return err
	}
	o.Nodes = nodes
	c, err := cluster.Start(ctx, o)
	if err != nil {
		return err
	}
	if err := s.publish(c, o); err != nil {
		return errors.Join(err, c.Stop())
	}
	listener, err := net.FileListener(os.NewFile(fdListener, "listener"))
	if err != nil {
		return errors.Join(err, c.Stop())
	}
	go forward(listener, strings.TrimPrefix(c.Server.URL(), "https://"))
	ready := os.NewFile(fdReady, "ready")
	_, err = ready.WriteString("ready\n")
	if err := errors.Join(err, ready.Close()); err != nil {
		return errors.Join(err, c.Stop())
	}
	<-ctx.Done()
	return c.Stop()
}

// publish writes the files by which the cluster is used from outside.
func (s state) publish(c *cluster.Cluster, o cluster.Options) error {
	kubeconfig, err := os.ReadFile(c.Server.Kubeconfig())
	if err != nil {
		return err
	}
	outside := strings.ReplaceAll(string(kubeconfig), c.Server.URL(), os.Getenv("CLUSTER_URL"))
	files := map[string]string{"kubeconfig": outside, "path": o.Parts.Path, "kubed": o.Parts.Kubed}
	for _, node := range c.Nodes {
		files["pid-"+node.Spec.Name] = fmt.Sprint(node.PID())
	}
	for name, content := range files {
		if err := os.WriteFile(s.file(name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// forward leads the connections of a listener outside of the sandbox to an address in it.
func forward(l net.Listener, address string) {
	for {
		out, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer out.Close()
			in, err := net.Dial("tcp", address)
			if err != nil {
				return
			}
			defer in.Close()
			go func() {
				_, _ = io.Copy(in, out)
				_ = in.(*net.TCPConn).CloseWrite()
			}()
			_, _ = io.Copy(out, in)
		}()
	}
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
