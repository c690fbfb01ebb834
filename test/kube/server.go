// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/rest"
	"k8s.io/component-base/logs"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"

	"calico-cni/test/kube/internal/pki"
)

// server is the configuration of a server.
type server struct {
	dir     string
	address netip.Addr
	port    uint16
	flags   []string // additional flags of kube-apiserver
}

// runServer runs etcd and kube-apiserver in this process until SIGTERM or SIGINT.
//
// Its state is in --dir: a PKI, etcd's files, and admin.kubeconfig, which is complete when the server is ready. A
// server that is restarted with the same directory has the same data, accepts the same credentials and, with --port 0,
// uses the same port if it is free.
//
// When /readyz succeeds, the server prints one line on standard output: "ready URL". The log goes to standard error.
func runServer() int {
	logs.InitLogs()
	defer logs.FlushLogs()
	s, err := parseServer(os.Args[1:])
	if errors.Is(err, pflag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "kubed server:", err)
		return 2
	}
	if err := s.run(genericapiserver.SetupSignalContext()); err != nil {
		fmt.Fprintln(os.Stderr, "kubed server:", err)
		return 1
	}
	return 0
}

// parseServer reads the command line.
func parseServer(args []string) (server, error) {
	var s server
	fs := pflag.NewFlagSet("kubed server", pflag.ContinueOnError)
	fs.StringVar(&s.dir, "dir", "", "directory for all state; created if it does not exist")
	fs.Uint16Var(&s.port, "port", 0, "port to listen on; 0 is the last one used with this directory, or a free one")
	address := fs.String("address", "127.0.0.1", "address to listen on and to advertise")
	if err := fs.Parse(args); err != nil {
		return s, err
	}
	if s.dir == "" {
		return s, errors.New("set --dir to a directory for the server's state")
	}
	s.flags = fs.Args()
	var err error
	if s.dir, err = filepath.Abs(s.dir); err != nil {
		return s, fmt.Errorf("resolve --dir: %w", err)
	}
	if s.address, err = netip.ParseAddr(*address); err != nil {
		return s, fmt.Errorf("parse --address: %w", err)
	}
	return s, nil
}

// run starts the server and returns when ctx has ended and the server has stopped.
func (s server) run(ctx context.Context) error {
	files, err := pki.Ensure(filepath.Join(s.dir, "pki"), s.addresses(), s.names(), time.Now())
	if err != nil {
		return err
	}
	listener, err := s.listen()
	if err != nil {
		return err
	}
	url := "https://" + listener.Addr().String()
	kubeconfig := filepath.Join(s.dir, "admin.kubeconfig")
	if err := writeKubeconfig(kubeconfig, url, files); err != nil {
		return err
	}
	etcd, err := startEtcd(ctx, filepath.Join(s.dir, "etcd"))
	if err != nil {
		return err
	}
	defer etcd.Close()
	config, err := s.options(ctx, listener, files, "http://"+etcd.Clients[0].Addr().String())
	if err != nil {
		return err
	}
	// Discards the warnings that the server sends to its own client.
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	go announceReady(ctx, kubeconfig, url)
	return apiserver.Run(ctx, config)
}

// addresses returns the IP addresses for the server's certificate.
func (s server) addresses() []netip.Addr {
	service := netip.MustParsePrefix(serviceRange).Addr().Next()
	addrs := []netip.Addr{s.address, service}
	if loopback := netip.MustParseAddr("127.0.0.1"); s.address != loopback {
		addrs = append(addrs, loopback)
	}
	return addrs
}

// names returns the DNS names for the server's certificate: those of the `kubernetes` Service, and localhost.
func (s server) names() []string {
	return []string{
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
		"localhost",
	}
}

// listen opens the port and stores its number for the next start.
func (s server) listen() (net.Listener, error) {
	file := filepath.Join(s.dir, "port")
	if s.port == 0 {
		if last, err := os.ReadFile(file); err == nil {
			if l, err := net.Listen("tcp", net.JoinHostPort(s.address.String(), string(last))); err == nil {
				return l, nil
			}
		}
	}
	l, err := net.Listen("tcp", netip.AddrPortFrom(s.address, s.port).String())
	if err != nil {
		return nil, fmt.Errorf("listen on --address and --port: %w", err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if err := os.WriteFile(file, []byte(port), 0o644); err != nil {
		return nil, errors.Join(fmt.Errorf("store port: %w", err), l.Close())
	}
	return l, nil
}
