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
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/rest"
	"k8s.io/component-base/logs"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"

	"calico-cni/test/kube/internal/pki"
)

// serviceRange is the range of Service addresses; its first one is the `kubernetes` Service's.
const serviceRange = "10.96.0.0/16"

// server says where a server keeps its state and where it listens.
type server struct {
	dir     string
	address netip.Addr
	port    uint16
	flags   []string // of kube-apiserver, after the server's own
}

// runServer runs etcd and kube-apiserver in this process until SIGTERM or SIGINT.
//
// Everything it keeps is in --dir: a PKI, etcd's files, and admin.kubeconfig, which is there and right when the
// server is ready. A server started again on the same directory serves the same data, trusts the same
// credentials and, with --port 0, takes the same port if it is free.
//
// Standard output gets one line when /readyz is ok: "ready URL". The log goes to standard error.
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
	fs.StringVar(&s.dir, "dir", "", "directory for all state; made when absent")
	fs.Uint16Var(&s.port, "port", 0, "port to listen on; 0 is the last one used with this directory, or a free one")
	address := fs.String("address", "127.0.0.1", "address to listen on and to advertise")
	if err := fs.Parse(args); err != nil {
		return s, err
	}
	if s.dir == "" {
		return s, errors.New("name a directory for the server's state with --dir")
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

// run starts the server and returns when ctx ends and everything is down.
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
	// The server's own loopback client has warnings for nobody to read.
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	go announce(ctx, kubeconfig, url)
	return apiserver.Run(ctx, config)
}

// addresses are what clients may know the server by.
func (s server) addresses() []netip.Addr {
	service := netip.MustParsePrefix(serviceRange).Addr().Next()
	addrs := []netip.Addr{s.address, service}
	if loopback := netip.MustParseAddr("127.0.0.1"); s.address != loopback {
		addrs = append(addrs, loopback)
	}
	return addrs
}

// names are the names of the `kubernetes` Service, and localhost.
func (s server) names() []string {
	return []string{
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
		"localhost",
	}
}

// listen opens the port, and keeps its number for the next start.
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
		return nil, errors.Join(fmt.Errorf("keep port: %w", err), l.Close())
	}
	return l, nil
}

// options returns what `kube-apiserver` would make of these flags.
func (s server) options(ctx context.Context, l net.Listener, f pki.Files, etcd string) (options.CompletedOptions, error) {
	o := options.NewServerRunOptions()
	fs := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	for _, set := range o.Flags().FlagSets {
		fs.AddFlagSet(set)
	}
	if err := fs.Parse(append(s.apiserverFlags(f, etcd), s.flags...)); err != nil {
		return options.CompletedOptions{}, fmt.Errorf("parse flags of kube-apiserver: %w", err)
	}
	o.SecureServing.Listener = l
	o.SecureServing.BindPort = l.Addr().(*net.TCPAddr).Port
	if err := o.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return options.CompletedOptions{}, fmt.Errorf("set feature gates: %w", err)
	}
	completed, err := o.Complete(ctx)
	if err != nil {
		return options.CompletedOptions{}, fmt.Errorf("complete flags of kube-apiserver: %w", err)
	}
	return completed, utilerrors.NewAggregate(completed.Validate())
}

// apiserverFlags are the server's own. The rest is as Kubernetes has it by default.
func (s server) apiserverFlags(f pki.Files, etcd string) []string {
	// Nothing may be written to the endpoints of the `kubernetes` Service that a pod could not reach.
	reconciler := "lease"
	if s.address.IsLoopback() {
		reconciler = "none"
	}
	return []string{
		"--etcd-servers=" + etcd,
		"--bind-address=" + s.address.String(),
		"--advertise-address=" + s.address.String(),
		"--endpoint-reconciler-type=" + reconciler,
		"--tls-cert-file=" + f.Cert,
		"--tls-private-key-file=" + f.Key,
		"--client-ca-file=" + f.CA,
		"--authorization-mode=Node,RBAC",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + f.ServiceAccountKey,
		"--service-account-signing-key-file=" + f.ServiceAccountKey,
		"--service-cluster-ip-range=" + serviceRange,
		"--allow-privileged=true",
		// The names of nodes resolve nowhere; exec and logs go to their addresses.
		"--kubelet-preferred-address-types=InternalIP",
	}
}
