// SPDX-License-Identifier: Apache-2.0

// Package cluster runs a real Kubernetes cluster on the project's plugins: API server, controllers and scheduler, and
// nodes that are machines in namespaces, each with containerd, kubelet and kube-proxy. The plugins are installed as by
// users, with the image of `make image` and deploy/calico-cni.yaml.
//
// A cluster runs in a sandbox (calico-cni/test/sandbox), is started by its first process, and ends with it:
//
// \tthe sandbox's namespaces      API server, controller manager, scheduler; bridge "nodes" with 192.0.2.1
// \t  machine node-1 .. node-N    192.0.2.11 ..; containerd, kubelet, kube-proxy, pods
//
// The test bed sets the routes between the nodes' pods: see routes.go.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

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

	options Options
	server  apiserver.Options
	running *apiserver.Server // the current one
	routes  *routes
	others  []*exec.Cmd // controller manager and scheduler
}

// Start starts a cluster and returns it when all nodes and the pods of the plugins' DaemonSet are Ready. After an error
// nothing is left running.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	c := &Cluster{options: o}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for _, step := range []func(context.Context) error{
		c.makeDisk, c.makeNetwork, c.startFirstServer, c.startControllers, c.makePools, c.installPlugins, c.startNodes,
		c.startRoutes, c.waitReady,
	} {
		if err := step(ctx); err != nil {
			return c, errors.Join(err, c.Stop())
		}
	}
	return c, nil
}

// makeDisk creates the directory for all files.
func (c *Cluster) makeDisk(context.Context) error { return mountDisk(c.options.Dir) }

// mountDisk mounts an in-memory file system, which needs no cleanup and can run full without affecting others.
func mountDisk(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=755,size=2g"); err != nil {
		return fmt.Errorf("mount %s: %w", dir, err)
	}
	return nil
}

func (c *Cluster) startFirstServer(ctx context.Context) error {
	pki := c.path("server", "pki")
	c.server = apiserver.Options{
		Kubed: c.options.Parts.Kubed, Dir: c.path("server"), Address: Host4, Port: 6443,
		Flags: []string{
			"--service-cluster-ip-range=" + Services4 + "," + Services6,
			// For logs and exec.
			"--kubelet-client-certificate=" + pki + "/admin.crt", "--kubelet-client-key=" + pki + "/admin.key",
		},
	}
	var err error
	c.Server, err = apiserver.Start(ctx, c.server)
	c.running = c.Server
	return err
}

// startControllers starts the controller manager and the scheduler. They reconnect when the API server is restarted.
func (c *Cluster) startControllers(context.Context) error {
	pki := c.path("server", "pki")
	for _, args := range [][]string{
		{
			"kube-controller-manager", "--service-account-private-key-file=" + pki + "/sa.key", "--root-ca-file=" +
				pki + "/ca.crt",
			"--cluster-signing-cert-file=" + pki + "/ca.crt", "--cluster-signing-key-file=" + pki + "/ca.key",
			"--use-service-account-credentials", "--allocate-node-cidrs=false", "--node-monitor-grace-period=20s",
		},
		{"kube-scheduler"},
	} {
		log, err := os.Create(c.path(args[0] + ".log"))
		if err != nil {
			return err
		}
		cmd := exec.Command(c.options.Parts.Kubed, append(args, "--kubeconfig="+c.Server.Kubeconfig(),
			"--leader-elect=false", "--bind-address=127.0.0.1")...)
		cmd.Stdout, cmd.Stderr = log, log
		if err := errors.Join(cmd.Start(), log.Close()); err != nil {
			return fmt.Errorf("start %s: %w", args[0], err)
		}
		c.others = append(c.others, cmd)
	}
	return nil
}

// installPlugins applies the project's manifest unchanged.
func (c *Cluster) installPlugins(ctx context.Context) error {
	_, err := c.Kubectl(ctx, "", "apply", "--server-side", "-f", c.options.Parts.Manifest)
	return err
}

// makePools creates the pools, which the manifest leaves to the user, after the CRDs, which the manifest also has.
func (c *Cluster) makePools(ctx context.Context) error {
	crds := os.DirFS(filepath.Join(filepath.Dir(c.options.Parts.Manifest), "chart", "crds"))
	if err := c.Server.ApplyCRDs(ctx, crds); err != nil {
		return err
	}
	const pool = "apiVersion: crd.projectcalico.org/v1\nkind: IPPool\nmetadata: {name: %s}\nspec: {cidr: \"%s\", " +
		"blockSize: %d, nodeSelector: all()}\n---\n"
	_, err := c.Kubectl(ctx, fmt.Sprintf(pool+pool, "pods4", Pods4, 26, "pods6", Pods6, 122), "apply", "-f", "-")
	return err
}

func (c *Cluster) startNodes(context.Context) error {
	for i := range c.options.Nodes {
		spec, err := c.nodeSpec(i + 1)
		if err != nil {
			return err
		}
		if err := mountDisk(spec.Disk); err != nil {
			return err
		}
		node := machine.New(spec, c.options.Group)
		c.Nodes = append(c.Nodes, node)
		if err := node.PowerOn(); err != nil {
			return err
		}
	}
	return nil
}

// waitReady waits until every node is Ready, and then the plugins' pod on it: a node is Ready before its pod.
func (c *Cluster) waitReady(ctx context.Context) error {
	for _, node := range c.Nodes {
		name := "node/" + node.Spec.Name
		if _, err := c.Kubectl(ctx, "", "wait", "--for=create", name, "--timeout=5m"); err != nil {
			return err
		}
		if _, err := c.Kubectl(ctx, "", "wait", "--for=condition=Ready", name, "--timeout=5m"); err != nil {
			return err
		}
	}
	_, err := c.Kubectl(ctx, "", "rollout", "status", "--namespace=kube-system", "daemonset/calico-cni", "--timeout=5m")
	return err
}

// Replace replaces the i-th node, from 0, by another machine with the same name and addresses and an empty disk.
func (c *Cluster) Replace(i int) error {
	node := c.Nodes[i]
	if err := node.PowerOff(); err != nil {
		return err
	}
	if err := unix.Unmount(node.Spec.Disk, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount %s: %w", node.Spec.Disk, err)
	}
	if err := mountDisk(node.Spec.Disk); err != nil {
		return err
	}
	return node.PowerOn()
}

// StopServer kills the API server. StartServer starts it again with its data.
func (c *Cluster) StopServer() error { return c.running.Kill() }

// StartServer starts the API server at the same address after StopServer.
func (c *Cluster) StartServer(ctx context.Context) error {
	server, err := apiserver.Start(ctx, c.server)
	if err == nil {
		c.running = server
	}
	return err
}

// Stop ends the cluster. It kills the nodes, because nothing of them is kept.
func (c *Cluster) Stop() error {
	var errs []error
	if c.routes != nil {
		c.routes.stop()
	}
	for _, node := range c.Nodes {
		errs = append(errs, node.PowerOff())
	}
	for _, cmd := range c.others {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	if c.running != nil {
		errs = append(errs, c.running.Kill())
	}
	return errors.Join(errs...)
}

// path returns the path of a file of the cluster.
func (c *Cluster) path(elements ...string) string {
	return filepath.Join(append([]string{c.options.Dir}, elements...)...)
}
