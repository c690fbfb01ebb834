// Package cluster runs a real Kubernetes cluster on the project's plugins: API server, controllers and scheduler, and nodes
// that are machines in namespaces, each with containerd, kubelet and kube-proxy. The plugins come as users get them, by the
// image of `make image` and deploy/calico-cni.yaml.
//
// A cluster lives in a sandbox (calico-cni/test/sandbox), whose first process starts it, and ends with it:
//
//	the sandbox's namespaces      API server, controller manager, scheduler; bridge "nodes" with 192.0.2.1
//	  machine node-1 .. node-N    192.0.2.11 ..; containerd, kubelet, kube-proxy, pods
//
// Routes between the nodes' pods are set by the test bed: see routes.go.
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

// The addresses that a cluster uses. Nodes and host are documentation's, pods and Services as kubeadm's users choose them.
const (
	Pods4     = "10.244.0.0/16"
	Pods6     = "fd00:10:244::/64"
	Services4 = "10.96.0.0/16"
	Services6 = "fd00:10:96::/112"
)

// Host4 and Host6 are the addresses of the sandbox, which is the nodes' neighbour and has the API server.
var (
	Host4 = netip.MustParseAddr("192.0.2.1")
	Host6 = netip.MustParseAddr("2001:db8::1")
)

// readyTimeout bounds the start from the first node to the last one Ready, on a machine that is busy with other things.
const readyTimeout = 5 * time.Minute

// Options say what a cluster is made of.
type Options struct {
	Parts parts.Parts
	Nodes int
	// Dir is an empty directory of the sandbox for all that the cluster keeps.
	Dir string
	// Group is what the nodes' control groups are made beneath.
	Group cgroup.Group
}

// Cluster is a running cluster.
type Cluster struct {
	// Server is the API server as it was first started. Its clients and its files are good for later ones as well.
	Server *apiserver.Server
	Nodes  []*machine.Machine

	options Options
	server  apiserver.Options
	running *apiserver.Server // the one that runs
	routes  *routes
	others  []*exec.Cmd // controller manager and scheduler
}

// Start starts a cluster and returns it when all nodes and the pods of the plugins' DaemonSet are Ready. After an error nothing of it is running.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	c := &Cluster{options: o}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for _, step := range []func(context.Context) error{
		c.makeDisk, c.makeNetwork, c.startServer, c.startControllers, c.makePools, c.installPlugins, c.startNodes, c.startRoutes, c.waitReady,
	} {
		if err := step(ctx); err != nil {
			return c, errors.Join(err, c.Stop())
		}
	}
	return c, nil
}

// makeDisk makes the directory for everything.
func (c *Cluster) makeDisk(context.Context) error { return mountDisk(c.options.Dir) }

// mountDisk mounts a file system in memory, which nobody has to clean, and which can be full without harm to others.
func mountDisk(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=755,size=2g"); err != nil {
		return fmt.Errorf("mount %s: %w", dir, err)
	}
	return nil
}

func (c *Cluster) startServer(ctx context.Context) error {
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

// startControllers starts the controller manager and the scheduler. They outlive the API server, and find it again.
func (c *Cluster) startControllers(context.Context) error {
	pki := c.path("server", "pki")
	for _, args := range [][]string{
		{
			"kube-controller-manager", "--service-account-private-key-file=" + pki + "/sa.key", "--root-ca-file=" + pki + "/ca.crt",
			"--cluster-signing-cert-file=" + pki + "/ca.crt", "--cluster-signing-key-file=" + pki + "/ca.key",
			"--use-service-account-credentials", "--allocate-node-cidrs=false", "--node-monitor-grace-period=20s",
		},
		{"kube-scheduler"},
	} {
		log, err := os.Create(c.path(args[0] + ".log"))
		if err != nil {
			return err
		}
		cmd := exec.Command(c.options.Parts.Kubed, append(args, "--kubeconfig="+c.Server.Kubeconfig(), "--leader-elect=false", "--bind-address=127.0.0.1")...)
		cmd.Stdout, cmd.Stderr = log, log
		if err := errors.Join(cmd.Start(), log.Close()); err != nil {
			return fmt.Errorf("start %s: %w", args[0], err)
		}
		c.others = append(c.others, cmd)
	}
	return nil
}

// installPlugins applies the project's manifest as it is.
func (c *Cluster) installPlugins(ctx context.Context) error {
	_, err := c.Kubectl(ctx, "", "apply", "--server-side", "-f", c.options.Parts.Manifest)
	return err
}

// makePools makes the pools, which the manifest leaves to its user, and the CRDs, which it has as well, before them.
func (c *Cluster) makePools(ctx context.Context) error {
	crds := os.DirFS(filepath.Join(filepath.Dir(c.options.Parts.Manifest), "chart", "crds"))
	if err := c.Server.ApplyCRDs(ctx, crds); err != nil {
		return err
	}
	const pool = "apiVersion: crd.projectcalico.org/v1\nkind: IPPool\nmetadata: {name: %s}\nspec: {cidr: \"%s\", blockSize: %d, nodeSelector: all()}\n---\n"
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

// waitReady waits until every node is there and Ready, and the plugins' pod on it: a node is Ready before that.
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

// Replace puts another machine in the place of the i-th node, from 0: of its name and its addresses, with an empty disk.
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

// StopServer ends the API server as a crash would. StartServer starts it again on its data.
func (c *Cluster) StopServer() error { return c.running.Kill() }

// StartServer starts the API server after StopServer, at its address.
func (c *Cluster) StartServer(ctx context.Context) error {
	server, err := apiserver.Start(ctx, c.server)
	if err == nil {
		c.running = server
	}
	return err
}

// Stop ends the cluster: the nodes as by a cut of power, for nothing of theirs is kept.
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
