// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"calico-cni/test/cluster"
	"calico-cni/test/sandbox"
)

// inside runs as the first process: it starts the cluster and stops it after SIGTERM.
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

// publish writes the files that are needed to use the cluster from outside of the sandbox.
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

// forward forwards connections from a listener outside of the sandbox to an address inside.
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
