// SPDX-License-Identifier: Apache-2.0

// Package fleet runs nodes without a kubelet: machines in two subnets with the plugins and the node agent, and a real
// API server. It starts in seconds, and serves the tests of the agent and the demo. Package cluster runs whole nodes.
//
//	the sandbox's namespaces   API server; a router between the bridges net-a and net-b
//	  machines of net-a        192.0.2.0/24, 2001:db8:a::/64
//	  machines of net-b        198.51.100.0/24, 2001:db8:b::/64
package fleet

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"calico-cni/test/apiserver"
	"calico-cni/test/machine"
	"calico-cni/test/node"
)

// Network is the name of the pod network.
const Network = "k8s-pod-network"

// installTimeout bounds the time until the plugins are installed on each node.
const installTimeout = time.Minute

// Options configure a fleet.
type Options struct {
	// Kubed is the binary of the API server, Tools a directory with the result of node.Build.
	Kubed, Tools string
	// Deploy is the project's directory deploy.
	Deploy string
	// Dir is an empty directory for all files of the fleet.
	Dir string
	// APIGroup is the API group of Calico's objects.
	APIGroup string
	// Subnets has the subnet of each node, 0 or 1.
	Subnets []int
	// AgentEnv is added to the environment of the agents, as "NAME=value".
	AgentEnv []string
	// Pools creates the pools before the agents start. Nil lets the agents create the default pools.
	Pools func(ctx context.Context, d node.Datastore) error
}

// Fleet is a running fleet.
type Fleet struct {
	Server    *apiserver.Server
	Datastore node.Datastore
	Nodes     []*machine.Machine

	options Options
}

// Start starts the machines with the plugins and the agent. The agents may not be ready yet.
func Start(ctx context.Context, o Options) (*Fleet, error) {
	f := &Fleet{options: o}
	for _, step := range []func(context.Context) error{
		f.mountTools, f.makeNetworks, f.startServer, f.prepareServer, f.startNodes, f.waitInstalled,
	} {
		if err := step(ctx); err != nil {
			return f, errors.Join(err, f.Stop())
		}
	}
	return f, nil
}

// toolsDir is where the machines see the tools. They hide directories such as /tmp and /opt of the sandbox.
const toolsDir = "/mnt"

func (f *Fleet) mountTools(context.Context) error {
	if err := unix.Mount(f.options.Tools, toolsDir, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount the tools: %w", err)
	}
	return nil
}

func (f *Fleet) startServer(ctx context.Context) (err error) {
	f.Server, err = apiserver.Start(ctx, apiserver.Options{
		Kubed: f.options.Kubed, Dir: filepath.Join(f.options.Dir, "server"), Address: subnets[0].router4,
	})
	if err == nil {
		f.Datastore = node.NewDatastore(f.Server.Dynamic(), f.options.APIGroup)
	}
	return err
}

// prepareServer creates the CRDs, the accounts with their roles, and the objects of the nodes.
func (f *Fleet) prepareServer(ctx context.Context) error {
	crds := filepath.Join(f.options.Deploy, "crds", "v3")
	if f.options.APIGroup == apiserver.V1 {
		crds = filepath.Join(f.options.Deploy, "crds", "v1")
	}
	admin := f.Server.Admin()
	if err := errors.Join(admin.ApplyCRDs(ctx, os.DirFS(crds)), admin.CreateNamespace(ctx, "kube-system")); err != nil {
		return err
	}
	for _, name := range []string{"calico-cni-plugin", "calico-cni-install", "calico-node"} {
		if err := admin.CreateServiceAccount(ctx, "kube-system", name); err != nil {
			return err
		}
		dir := filepath.Join(f.options.Deploy, "chart", "templates", "rbac")
		if name == "calico-node" {
			dir = filepath.Join(f.options.Deploy, "rbac")
		}
		role, err := os.ReadFile(filepath.Join(dir, name+".yaml"))
		if err != nil {
			return err
		}
		if err := f.Server.Accounts().BindClusterRole(ctx, role, "kube-system", name); err != nil {
			return err
		}
	}
	if f.options.Pools != nil {
		return f.options.Pools(ctx, f.Datastore)
	}
	return nil
}

// startNodes creates the objects of the nodes and powers the machines on.
func (f *Fleet) startNodes(ctx context.Context) error {
	for i := range f.options.Subnets {
		spec, err := f.spec(ctx, i)
		if err != nil {
			return err
		}
		if _, err := f.Server.Admin().CreateNode(ctx, spec.Name); err != nil {
			return err
		}
		m := machine.New(spec, nil)
		f.Nodes = append(f.Nodes, m)
		if err := m.PowerOn(); err != nil {
			return err
		}
	}
	return nil
}

// spec returns the machine of the i-th node.
func (f *Fleet) spec(ctx context.Context, i int) (machine.Spec, error) {
	name := fmt.Sprintf("node-%d", i+1)
	net, tools := subnets[f.options.Subnets[i]], toolsDir
	files, err := f.credentials(ctx)
	if err != nil {
		return machine.Spec{}, err
	}
	files["/etc/hostname"] = name + "\n"
	api, err := url.Parse(f.Server.URL())
	if err != nil {
		return machine.Spec{}, err
	}
	agentEnv := append([]string{
		"/usr/bin/env", "NODENAME=" + name, "KUBECONFIG=/etc/kubernetes/calico-node.conf", "IP6=autodetect",
		"FELIX_HEALTHENABLED=true",
	}, f.options.AgentEnv...)
	return machine.Spec{
		Name: name, Bridge: net.bridge, Disk: filepath.Join(f.options.Dir, "nodes", name), Files: files,
		Addrs:    []netip.Prefix{net.prefix4(10 + i + 1), net.prefix6(10 + i + 1)},
		Gateways: []netip.Addr{net.router4, net.router6},
		Env:      []string{"PATH=" + os.Getenv("PATH")},
		Services: []machine.Service{
			{Name: "dirs", Once: true, Args: []string{"/bin/mkdir", "-p", "/etc/cni/net.d", "/opt/cni/bin", "/var/lib/calico"}},
			{Name: "install", Once: true, Args: []string{
				"/usr/bin/env", "CNI_BIN_SOURCE=" + tools,
				"CNI_HOST_ROOT=/", "KUBERNETES_SERVICE_HOST=" + subnets[0].router4.String(), "KUBERNETES_SERVICE_PORT=" + api.Port(),
				"KUBERNETES_NODE_NAME=" + name, "SLEEP=false", "CNI_ASSIGN_IPV6=true", filepath.Join(tools, "install"),
			}},
			{Name: "calico-node", Args: append(agentEnv, filepath.Join(tools, "calico-node"))},
		},
	}, nil
}

// accountDir is the directory where the kubelet mounts the service account of a pod.
const accountDir = "/run/secrets/kubernetes.io/serviceaccount/"

// credentials returns the files with the credentials of install, as in its pod, and of the agent.
func (f *Fleet) credentials(ctx context.Context) (map[string]string, error) {
	token, err := f.Server.Accounts().Token(ctx, "kube-system", "calico-cni-install")
	if err != nil {
		return nil, err
	}
	path := filepath.Join(f.options.Dir, "calico-node.kubeconfig")
	if err := f.Server.Accounts().WriteKubeconfig(ctx, path, "kube-system", "calico-node"); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return map[string]string{
		accountDir + "token": token, accountDir + "namespace": "kube-system",
		accountDir + "ca.crt":              string(f.Server.Config().CAData),
		"/etc/kubernetes/calico-node.conf": string(data),
	}, nil
}

// waitInstalled waits until each node has a network configuration, and its agent has prepared the node.
func (f *Fleet) waitInstalled(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, installTimeout)
	defer cancel()
	for _, m := range f.Nodes {
		for service, file := range map[string]string{
			"install": "/etc/cni/net.d/10-calico.conflist", "calico-node": "/var/lib/calico/nodename",
		} {
			for !exists(m.Path(file)) {
				select {
				case <-ctx.Done():
					log, _ := os.ReadFile(m.Path("/var/log/machine/" + service + ".log"))
					return fmt.Errorf("%s has no %s after %s; the end of the log of %s:\n%s", m.Spec.Name, file,
						installTimeout, service, log[max(0, len(log)-1000):])
				case <-time.After(100 * time.Millisecond):
				}
			}
		}
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Addr returns the address of the i-th node, from 0.
func (f *Fleet) Addr(i int, ipv6 bool) netip.Addr {
	net := subnets[f.options.Subnets[i]]
	if ipv6 {
		return net.prefix6(10 + i + 1).Addr()
	}
	return net.prefix4(10 + i + 1).Addr()
}

// Stop ends the fleet.
func (f *Fleet) Stop() error {
	var errs []error
	for _, m := range f.Nodes {
		errs = append(errs, m.PowerOff())
	}
	if f.Server != nil {
		errs = append(errs, f.Server.Kill())
	}
	return errors.Join(errs...)
}
