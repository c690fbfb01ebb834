// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"

	"calico-cni/test/apiserver"
	"calico-cni/test/sandbox"
)

// Name is the node's name.
const Name = "node-1"

// Network is the name of the network in the default configuration.
const Network = "k8s-pod-network"

// Node is a node with the plugins installed.
type Node struct {
	Server    *apiserver.Server
	Datastore Datastore
	// Root is the parent of the host's directories.
	Root string
	// Tools contains the binaries of Build.
	Tools string
}

// Options configure the node.
type Options struct {
	// Kubed is the binary of the API server, Tools the directory of Build.
	Kubed, Tools string
	// Deploy is the project's directory deploy.
	Deploy string
	// Dir is an empty directory for all files of the node.
	Dir string
	// Group is the API group of Calico's objects. Empty means crd.projectcalico.org/v1.
	Group string
}

// Start creates the node: network, API server, CRDs, service accounts with the chart's roles, and the file with which a
// node agent reports that it is running. The caller creates the pools and runs the installation.
func Start(ctx context.Context, o Options) (*Node, error) {
	if err := sandbox.Network(); err != nil {
		return nil, err
	}
	server, err := apiserver.Start(ctx, apiserver.Options{Kubed: o.Kubed, Dir: filepath.Join(o.Dir, "api")})
	if err != nil {
		return nil, err
	}
	n := &Node{
		Server: server, Datastore: Datastore{client: server.Dynamic(), Group: cmp.Or(o.Group, apiserver.V1)},
		Root: filepath.Join(o.Dir, "host"), Tools: o.Tools,
	}
	if err := n.prepare(ctx, o.Deploy); err != nil {
		return nil, err
	}
	return n, nil
}

func (n *Node) prepare(ctx context.Context, deploy string) error {
	crds := filepath.Join(deploy, "chart", "crds")
	if n.Datastore.Group == apiserver.V1 {
		crds = filepath.Join(deploy, "crds", "v1")
	}
	if err := n.Server.Admin().ApplyCRDs(ctx, os.DirFS(crds)); err != nil {
		return err
	}
	for _, namespace := range []string{"kube-system", "default"} {
		if err := n.Server.Admin().CreateNamespace(ctx, namespace); err != nil {
			return err
		}
	}
	for _, name := range []string{"calico-cni-plugin", "calico-cni-install"} {
		if err := n.Server.Admin().CreateServiceAccount(ctx, "kube-system", name); err != nil {
			return err
		}
		role, err := os.ReadFile(filepath.Join(deploy, "chart", "templates", "rbac", name+".yaml"))
		if err != nil {
			return err
		}
		if err := n.Server.Accounts().BindClusterRole(ctx, role, "kube-system", name); err != nil {
			return err
		}
	}
	if _, err := n.Server.Admin().CreateNode(ctx, Name); err != nil {
		return err
	}
	for _, dir := range []string{n.BinDir(), n.NetDir(), "/var/lib/calico"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return os.WriteFile("/var/lib/calico/nodename", []byte(Name+"\n"), 0o644)
}

// BinDir returns the node's directory of plugins.
func (n *Node) BinDir() string { return filepath.Join(n.Root, "opt/cni/bin") }

// NetDir returns the node's directory of network configurations.
func (n *Node) NetDir() string { return filepath.Join(n.Root, "etc/cni/net.d") }

// Kubeconfig returns the path of the plugins' kubeconfig.
func (n *Node) Kubeconfig() string { return filepath.Join(n.NetDir(), "calico-kubeconfig") }

// account is the directory where the kubelet mounts a pod's service account.
const account = "/run/secrets/kubernetes.io/serviceaccount"

// Install runs the binary `install` as in its init container and returns the log.
func (n *Node) Install(ctx context.Context, settings ...string) (string, error) {
	cmd, err := n.Installer(ctx, settings...)
	if err != nil {
		return "", err
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("run install: %w: %s", err, out)
	}
	return string(out), nil
}

// Installer returns the binary `install` as a container would run it: with its own service account, the node's
// directories mounted, and additional settings "NAME=value", which take precedence.
func (n *Node) Installer(ctx context.Context, settings ...string) (*exec.Cmd, error) {
	image := filepath.Join(n.Root, "image")
	for _, name := range []string{"calico", "calico-ipam", "portmap"} {
		if err := copyFile(filepath.Join(image, name), filepath.Join(n.Tools, name)); err != nil {
			return nil, err
		}
	}
	if err := n.mountAccount(ctx); err != nil {
		return nil, err
	}
	api, err := url.Parse(n.Server.URL())
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(n.Tools, "install"))
	cmd.Env = append([]string{
		"KUBERNETES_SERVICE_HOST=" + api.Hostname(), "KUBERNETES_SERVICE_PORT=" + api.Port(),
		"CNI_HOST_ROOT=" + n.Root, "CNI_BIN_SOURCE=" + image, "CNI_NET_DIR=" + n.NetDir(),
		"KUBERNETES_NODE_NAME=" + Name, "SLEEP=false", "CNI_MTU=1450",
	}, settings...)
	return cmd, nil
}

// mountAccount places the installer's service account where a kubelet would.
func (n *Node) mountAccount(ctx context.Context) error {
	token, err := n.Server.Accounts().Token(ctx, "kube-system", "calico-cni-install")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(account, 0o755); err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		"token": []byte(token), "namespace": []byte("kube-system"), "ca.crt": n.Server.Config().CAData,
	} {
		if err := os.WriteFile(filepath.Join(account, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(to, from string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o755)
}
