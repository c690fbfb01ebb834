// SPDX-License-Identifier: Apache-2.0

// Package cluster runs a real Kubernetes cluster with the project's plugins: API server, controllers and scheduler, and
// nodes that are machines in namespaces, each with containerd, kubelet and kube-proxy. The plugins are installed as by
// users, with the image of `make image` and deploy/calico-cni.yaml.
//
// A cluster runs in a sandbox (calico-cni/test/sandbox), is started by its first process, and ends with it:
//
//	the sandbox's namespaces      API server, controller manager, scheduler; bridge "nodes" with 192.0.2.1
//	  machine node-1 .. node-N    192.0.2.11 ..; containerd, kubelet, kube-proxy, pods
//
// The test bed sets the routes between the nodes' pods: see routes.go.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"calico-cni/test/apiserver"
	"calico-cni/test/cgroup"
	"calico-cni/test/machine"
	"calico-cni/test/parts"
)

// The addresses of a cluster. Those of nodes and host are for documentation; those of pods and Services are common with
// kubeadm.
const (
	Pods4     = "10.244.0.0/16"
	Pods6     = "fd00:10:244::/64"
	Services4 = "10.96.0.0/16"
	Services6 = "fd00:10:96::/112"
)

// Host4 and Host6 are the addresses of the sandbox, which is a neighbour of the nodes and runs the API server.
var (
	Host4 = netip.MustParseAddr("192.0.2.1")
	Host6 = netip.MustParseAddr("2001:db8::1")
)

// readyTimeout bounds the time from the start of the first node until all nodes are Ready, on a busy machine.
const readyTimeout = 5 * time.Minute

// Options describe a cluster.
type Options struct {
	Parts parts.Parts
	Nodes int
	// Dir is an empty directory of the sandbox for all files of the cluster.
	Dir string
	// Group is the parent of the nodes' control groups.
	Group cgroup.Group
}

// Cluster is a running cluster.
type Cluster struct {
	// Server is the first API server. Its clients and files also work for later ones.
	Server *apiserver.Server
	Nodes  []*machine.Machine

	options      Options
	controlPlane *controlPlane
	routes       *routes
}

// Start starts a cluster and returns it when all nodes and the pods of the plugins' DaemonSet are Ready. After an error
// nothing is left running.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	c := &Cluster{options: o}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := errors.Join(mountDisk(o.Dir), makeNetwork()); err != nil {
		return c, err
	}
	for _, step := range []func(context.Context) error{
		c.startControlPlane, c.makePools, c.installPlugins, c.startNodes, c.startRoutes, c.waitReady,
	} {
		if err := step(ctx); err != nil {
			return c, errors.Join(err, c.Stop())
		}
	}
	return c, nil
}

func (c *Cluster) startControlPlane(ctx context.Context) error {
	var err error
	c.controlPlane, err = startControlPlane(ctx, c.options.Parts.Kubed, c.options.Dir)
	c.Server = c.controlPlane.first
	return err
}

// makePools creates the pools, which the manifest leaves to the user, after the CRDs, which the manifest also has.
func (c *Cluster) makePools(ctx context.Context) error {
	crds := os.DirFS(filepath.Join(filepath.Dir(c.options.Parts.Manifest), "chart", "crds"))
	if err := c.Server.Admin().ApplyCRDs(ctx, crds); err != nil {
		return err
	}
	const pool = "apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: %s}\nspec: {cidr: \"%s\", " +
		"blockSize: %d, nodeSelector: all()}\n---\n"
	_, err := c.Kubectl(ctx, fmt.Sprintf(pool+pool, "pods4", Pods4, 26, "pods6", Pods6, 122), "apply", "-f", "-")
	return err
}

// installPlugins applies the project's manifest unchanged.
func (c *Cluster) installPlugins(ctx context.Context) error {
	_, err := c.Kubectl(ctx, "", "apply", "--server-side", "-f", c.options.Parts.Manifest)
	return err
}

func (c *Cluster) startRoutes(context.Context) error {
	var err error
	c.routes, err = startRoutes(filepath.Join(c.options.Dir, "routes.log"), c.Server, c.Nodes)
	return err
}

// State returns what reads the addresses of the cluster.
func (c *Cluster) State() State { return State{server: c.Server, nodes: c.Nodes} }

// StopServer kills the API server. StartServer starts it again with its data.
func (c *Cluster) StopServer() error { return c.controlPlane.running.Kill() }

// StartServer starts the API server at the same address after StopServer.
func (c *Cluster) StartServer(ctx context.Context) error { return c.controlPlane.startServer(ctx) }

// Stop ends the cluster. It kills the nodes, because nothing of them is kept.
func (c *Cluster) Stop() error {
	var errs []error
	if c.routes != nil {
		c.routes.stop()
	}
	for _, node := range c.Nodes {
		errs = append(errs, node.PowerOff())
	}
	if c.controlPlane != nil {
		errs = append(errs, c.controlPlane.stop())
	}
	return errors.Join(errs...)
}
