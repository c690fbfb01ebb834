// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"calico-cni/internal/buildinfo"
	"calico-cni/pkg/invocation"
	"calico-cni/pkg/ipam/crdstore"
	"calico-cni/pkg/kube"
	"calico-cni/pkg/migrate"
	"calico-cni/pkg/nodeipam"
)

// defaultNetwork is the name of the network in Calico's configurations.
const defaultNetwork = "k8s-pod-network"

var errUsage = errors.New("usage: calico-ipam [-v | -upgrade [NETWORK]]: -v prints the version, " +
	"-upgrade moves this node's addresses from host-local to block IPAM; " +
	"a container runtime calls calico-ipam without flags")

// upgrade migrates the node of KUBERNETES_NODE_NAME, with the credentials of KUBECONFIG or of the pod.
func upgrade(ctx context.Context, h invocation.Host, args []string) error {
	network, node := defaultNetwork, os.Getenv("KUBERNETES_NODE_NAME")
	if len(args) > 0 {
		network = args[0]
	}
	switch {
	case len(args) > 1 || network != filepath.Base(network) || network[0] == '.' || network[0] == '-':
		return errUsage
	case node == "":
		return fmt.Errorf("%w: KUBERNETES_NODE_NAME is empty: want the name of this node", errUsage)
	}
	client, err := credentials(h.UserAgent)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil)).With("network", network, "node", node)
	// The directory is mounted from the host. No other process uses the network during a migration, so removing the
	// lock file is safe.
	lock := filepath.Join(migrate.Networks, "."+network+".lock")
	defer func() { _ = errors.Join(os.Remove(lock), os.Remove(lock+nodeipam.ReleaseSuffix)) }()
	return migrate.Migration{
		Network: network, Networks: migrate.Networks, Results: "/var/lib/cni/results", Proc: "/proc/net",
		Now: time.Now, Log: log,
		Open: func(ctx context.Context) (migrate.Addresses, error) {
			group, err := apiGroup(ctx, client, os.Getenv("CALICO_API_GROUP"))
			if err != nil {
				return nil, err
			}
			return nodeipam.NewAdopter(h.Disk(), client, group, network, node, lock, log), nil
		},
	}.Run(ctx)
}

// apiGroup returns the configured API group of Calico's objects, or else the one that the API server serves.
func apiGroup(ctx context.Context, client *kube.Client, configured string) (crdstore.Group, error) {
	switch group := crdstore.Group(configured); group {
	case crdstore.V1, crdstore.V3:
		return group, nil
	case "":
		return crdstore.Probe(ctx, client)
	default:
		return "", fmt.Errorf("%w: CALICO_API_GROUP %q: want %q or %q", errUsage, configured, crdstore.V1, crdstore.V3)
	}
}

func credentials(userAgent string) (*kube.Client, error) {
	if path := os.Getenv("KUBECONFIG"); path != "" {
		return kube.LoadSupplied(path, userAgent)
	}
	return kube.InCluster(os.Getenv, userAgent)
}

// flags handles the flags for users and init containers.
func flags(ctx context.Context, h invocation.Host, args []string) (exit int) {
	err := errUsage
	switch args[0] {
	case "-v":
		fmt.Println(buildinfo.Version)
		return 0
	case "-upgrade", "--upgrade":
		err = upgrade(ctx, h, args[1:])
	}
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "calico-ipam:", err)
	if errors.Is(err, errUsage) {
		return 2
	}
	return 1
}
