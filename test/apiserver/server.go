// SPDX-License-Identifier: Apache-2.0

// Package apiserver runs a real Kubernetes API server, with RBAC and service accounts, for tests and the demo.
//
// The server is one process, `kubed server`: etcd and kube-apiserver. There are no controllers, no scheduler and no
// kubelet. A node is only its object, a pod is an object that is bound to a node when it is created, and nothing cleans
// up after a deletion: neither the contents of a namespace nor the dependents of an owner.
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
	// startTimeout limits a start if the caller's context has no earlier deadline. A start takes three seconds, and
	// more on a busy machine.
	startTimeout = 2 * time.Minute
	// stopTimeout limits a graceful stop. It takes about one second, unless a client keeps a request open.
	stopTimeout = 15 * time.Second
)

// Options configure a server. Kubed and Dir are required.
type Options struct {
	Kubed string // path of the binary, as returned by kubed.Path
	// Dir contains all state: data, credentials, log. It is created if it does not exist. A server that is started with
	// the directory of an earlier one continues with its data, credentials and port.
	Dir     string
	Address netip.Addr // to listen on; zero is 127.0.0.1
	Port    uint16     // 0 is the last port of Dir, or a free one
	NetNS   string     // path of a network namespace to run in, with its loopback up; empty is the caller's
	Flags   []string   // additional flags of kube-apiserver
}

// Server is a running API server.
type Server struct {
	child   *child
	config  *rest.Config
	dir     string
	client  *kubernetes.Clientset
	dynamic *dynamic.DynamicClient
}

// Start starts a server and returns it when it is ready. Pods can be created in the namespace "default".
//
// ctx only limits the start. The server runs until Stop or Kill. It never outlives this process. If the server ends
// before it is ready, the error contains the end of its log.
func Start(ctx context.Context, o Options) (*Server, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	dir, err := filepath.Abs(o.Dir)
	if o.Kubed == "" || o.Dir == "" || err != nil {
		return nil, errors.Join(errors.New("start API server: set Kubed and Dir"), err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create directory of API server: %w", err)
	}
	s := &Server{dir: dir}
	if err := s.launch(ctx, o); err != nil {
		return nil, err
	}
	if err := s.connect(o.NetNS); err != nil {
		return nil, errors.Join(err, s.Kill())
	}
	if err := s.Admin().CreateNamespace(ctx, "default"); err != nil {
		return nil, errors.Join(err, s.Kill())
	}
	return s, nil
}

// launch starts the child process and waits until it is ready.
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

// args returns the command line of the child process.
func (o Options) args(dir string) []string {
	args := []string{"server", "--dir", dir, "--port", fmt.Sprint(o.Port)}
	if o.Address.IsValid() {
		args = append(args, "--address", o.Address.String())
	}
	return append(append(args, "--"), o.Flags...)
}

// Stop stops the server gracefully, kills it after 15 seconds, and waits until it has ended. Its directory remains. A
// second call does nothing.
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

// Kill kills the server and waits until it has ended. Its directory remains unchanged.
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

// Config returns a copy of the administrator's client configuration. It connects from the server's network namespace
// and has no rate limit.
func (s *Server) Config() *rest.Config { return rest.CopyConfig(s.config) }

// Client returns the administrator's client for the built-in kinds.
func (s *Server) Client() kubernetes.Interface { return s.client }

// Dynamic returns the administrator's client for all kinds.
func (s *Server) Dynamic() dynamic.Interface { return s.dynamic }

// Admin returns the creator of objects, which acts as the administrator.
func (s *Server) Admin() Admin { return Admin{client: s.client, dynamic: s.dynamic} }

// Accounts returns the issuer of service account credentials.
func (s *Server) Accounts() Accounts { return Accounts{client: s.client, admin: s.config} }
