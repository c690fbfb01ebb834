// SPDX-License-Identifier: Apache-2.0

// Package apiserver runs a real Kubernetes API server, with RBAC and service accounts, for tests and the demo.
//
// The server is one process, `kubed server`: etcd and kube-apiserver. There are no controllers, no scheduler and
// no kubelet. So nodes are what their object says, pods are objects bound to a node at creation, and nothing
// that is deleted is swept behind one: neither the content of a namespace nor the dependents of an owner.
package apiserver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

const (
	// startTimeout bounds a start where the caller's context does not: a start takes three seconds, and more on
	// a machine that is busy with other things.
	startTimeout = 2 * time.Minute
	// stopTimeout is how long a server may take to end by itself: it does in about one second, unless a client
	// keeps a request open.
	stopTimeout = 15 * time.Second
)

// Options say where a server lives. Kubed and Dir are required.
type Options struct {
	Kubed string // path of the binary, as kubed.Path returns it
	// Dir holds all state: data, credentials, log. Made when absent. A server started on the directory of an
	// earlier one goes on with its data and its credentials, on its port.
	Dir     string
	Address netip.Addr // to listen on; zero is 127.0.0.1
	Port    uint16     // 0 is the last one of Dir, or a free one
	NetNS   string     // path of a network namespace to run in, with its loopback up; empty is the caller's
	Flags   []string   // further flags of kube-apiserver
}

// Server is a running API server.
type Server struct {
	child   *child
	config  *rest.Config
	dir     string
	client  *kubernetes.Clientset
	dynamic *dynamic.DynamicClient
}

// Start starts a server and returns it when it is ready, with namespace "default" fit for pods.
//
// ctx bounds the start alone. The server runs until Stop or Kill, and does not outlive this process, however
// that ends. If the server ends before it is ready, the error has the end of its log.
func Start(ctx context.Context, o Options) (*Server, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	dir, err := filepath.Abs(o.Dir)
	if o.Kubed == "" || o.Dir == "" || err != nil {
		return nil, errors.Join(errors.New("start API server: set Kubed and Dir"), err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make directory of API server: %w", err)
	}
	s := &Server{dir: dir}
	if err := s.launch(ctx, o); err != nil {
		return nil, err
	}
	if err := s.connect(o.NetNS); err != nil {
		return nil, errors.Join(err, s.Kill())
	}
	if err := s.CreateNamespace(ctx, "default"); err != nil {
		return nil, errors.Join(err, s.Kill())
	}
	return s, nil
}

// launch starts the child and waits until it is ready.
func (s *Server) launch(ctx context.Context, o Options) error {
	log, err := os.OpenFile(s.Log(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("open log of API server: %w", err)
	}
	defer log.Close()
	ready := newFirstLine()
	cmd := exec.Command(o.Kubed, o.args(s.dir)...)
	cmd.Stdout, cmd.Stderr = ready, log
	if s.child, err = startChild(cmd, o.NetNS); err != nil {
		return fmt.Errorf("start API server: %w", err)
	}
	select {
	case <-ready.read:
		return nil
	case <-s.child.ended:
		return fmt.Errorf("start API server: it ended with %v; the end of its log:\n%s", cmd.ProcessState, tail(s.Log()))
	case <-ctx.Done():
		err := fmt.Errorf("start API server: %w; the end of its log:\n%s", ctx.Err(), tail(s.Log()))
		return errors.Join(err, s.Kill())
	}
}

// args is the command line of the child.
func (o Options) args(dir string) []string {
	args := []string{"server", "--dir", dir, "--port", fmt.Sprint(o.Port)}
	if o.Address.IsValid() {
		args = append(args, "--address", o.Address.String())
	}
	return append(append(args, "--"), o.Flags...)
}

// Stop ends the server in order, and by force when it takes more than 15 seconds, and waits until it is gone.
// Its directory stays. A second call does nothing.
func (s *Server) Stop() error {
	s.child.signal(syscall.SIGTERM)
	select {
	case <-s.child.ended:
	case <-time.After(stopTimeout):
		return errors.Join(fmt.Errorf("stop API server: still running after %v, killed", stopTimeout), s.Kill())
	}
	if code := s.child.cmd.ProcessState.ExitCode(); code > 0 {
		return fmt.Errorf("stop API server: exit code %d; the end of its log:\n%s", code, tail(s.Log()))
	}
	return nil
}

// Kill ends the server as a crash would, and waits until it is gone. Its data stays as it was.
func (s *Server) Kill() error {
	s.child.signal(syscall.SIGKILL)
	<-s.child.ended
	return nil
}

// PID returns the process ID of the server.
func (s *Server) PID() int { return s.child.cmd.Process.Pid }

// Log returns the path of the server's log.
func (s *Server) Log() string { return filepath.Join(s.dir, "kubed.log") }

// Kubeconfig returns the path of the administrator's kubeconfig, a member of system:masters.
func (s *Server) Kubeconfig() string { return filepath.Join(s.dir, "admin.kubeconfig") }

// URL returns the address of the server, https://HOST:PORT.
func (s *Server) URL() string { return s.config.Host }

// Config returns the administrator's client configuration, for the caller to change as it likes. It dials into
// the server's network namespace, from wherever it is used, and does not limit its rate.
func (s *Server) Config() *rest.Config { return rest.CopyConfig(s.config) }

// Client returns the administrator's client of the built-in kinds.
func (s *Server) Client() kubernetes.Interface { return s.client }

// Dynamic returns the administrator's client of all kinds.
func (s *Server) Dynamic() dynamic.Interface { return s.dynamic }
