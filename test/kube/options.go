// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net"

	"github.com/spf13/pflag"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"

	"calico-cni/test/kube/internal/pki"
)

// serviceRange is the range of Service addresses. The first address belongs to the `kubernetes` Service.
const serviceRange = "10.96.0.0/16"

// options returns the options of kube-apiserver for the server's flags.
func (s server) options(ctx context.Context, l net.Listener, f pki.Files, etcd string) (
	options.CompletedOptions, error,
) {
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

// apiserverFlags returns the flags of kube-apiserver that differ from the defaults.
func (s server) apiserverFlags(f pki.Files, etcd string) []string {
	// The endpoints of the `kubernetes` Service must not contain an address that pods cannot reach.
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
		// Node names cannot be resolved, so exec and logs use the addresses.
		"--kubelet-preferred-address-types=InternalIP",
	}
}
