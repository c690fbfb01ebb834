// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"calico-cni/test/machine"
)

// startNodes starts the nodes. They become Ready later.
func (c *Cluster) startNodes(context.Context) error {
	config := nodeConfig{
		parts: c.options.Parts, disks: filepath.Join(c.options.Dir, "nodes"),
		authority: authority{url: c.Server.URL(), dir: c.controlPlane.pki()},
	}
	for i := range c.options.Nodes {
		spec, err := config.spec(i + 1)
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

// waitReady waits until every node is Ready, and then for the plugins' pods: a node is Ready before its pod.
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
