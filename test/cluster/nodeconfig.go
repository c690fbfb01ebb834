// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"

	"calico-cni/test/machine"
	"calico-cni/test/parts"
)

// containerdSocket is the socket of containerd.
const containerdSocket = "/run/containerd/containerd.sock"

// containerdConfig is containerd's configuration, format version 3. Machines without CAP_SYS_RESOURCE cannot set the
// OOM score of a sandbox. There is no registry for the sandbox image.
const containerdConfig = `version = 3
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = '` + parts.Probe + `'
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = 'io.containerd.runc.v2'
`

// kubeletConfig is the kubelet's configuration: with cgroup v1, which it no longer accepts by default; without disk
// eviction, because all nodes share a disk; and with frequent status updates.
const kubeletConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: /etc/kubernetes/ca.crt}}
authorization: {mode: Webhook}
containerRuntimeEndpoint: unix://` + containerdSocket + `
staticPodPath: /etc/kubernetes/manifests
cgroupDriver: cgroupfs
cgroupRoot: /
failCgroupV1: false
failSwapOn: false
clusterDNS: [10.96.0.10]
clusterDomain: cluster.local
nodeStatusUpdateFrequency: 4s
nodeLeaseDurationSeconds: 20
evictionHard: {memory.available: 100Mi, nodefs.available: "0%", imagefs.available: "0%", nodefs.inodesFree: "0%"}
imageGCHighThresholdPercent: 100
`

// kernelSettings are the global kernel settings that the kubelet requires.
var kernelSettings = map[string]string{
	"vm/overcommit_memory": "1", "vm/panic_on_oom": "0", "kernel/panic": "10", "kernel/panic_on_oops": "1",
	"kernel/keys/root_maxkeys": "1000000", "kernel/keys/root_maxbytes": "25000000",
}

// NodeAddr4 and NodeAddr6 return the addresses of the i-th node, from 1.
func NodeAddr4(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(10 + i)}) }

// NodeAddr6 returns the IPv6 address of the i-th node, from 1.
func NodeAddr6(i int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("2001:db8::%d", 10+i)) }

// nodeConfig configures the machines of the nodes.
type nodeConfig struct {
	parts     parts.Parts
	disks     string // directory of the nodes' disks
	authority authority
}

// spec returns the i-th node, from 1.
func (n nodeConfig) spec(i int) (machine.Spec, error) {
	name := fmt.Sprintf("node-%d", i)
	files, err := n.files(name, i)
	if err != nil {
		return machine.Spec{}, err
	}
	services, err := n.services(name, i)
	return machine.Spec{
		Name:     name,
		Addrs:    []netip.Prefix{netip.PrefixFrom(NodeAddr4(i), 24), netip.PrefixFrom(NodeAddr6(i), 64)},
		Gateways: []netip.Addr{Host4, Host6},
		Bridge:   bridge,
		Disk:     filepath.Join(n.disks, name),
		Sysctls:  kernelSettings,
		Files:    files,
		Env:      []string{"PATH=" + n.parts.Path, "HOME=/root", "CONTAINERD_NAMESPACE=k8s.io"},
		Services: services,
	}, err
}

// files returns the configuration and the credentials of the node's services.
func (n nodeConfig) files(name string, i int) (map[string]string, error) {
	kubelet, err := n.authority.kubeconfig("system:node:"+name, "system:nodes")
	if err != nil {
		return nil, err
	}
	proxy, err := n.authority.kubeconfig("system:kube-proxy")
	if err != nil {
		return nil, err
	}
	ca, err := n.authority.certificate()
	if err != nil {
		return nil, err
	}
	return map[string]string{
		"/etc/hostname":                     name + "\n",
		"/etc/hosts":                        fmt.Sprintf("127.0.0.1 localhost\n%s %s\n", NodeAddr4(i), name),
		"/etc/resolv.conf":                  "nameserver 127.0.0.1\n",
		"/etc/containerd/config.toml":       containerdConfig,
		"/etc/kubernetes/kubelet.yaml":      kubeletConfig,
		"/etc/kubernetes/ca.crt":            string(ca),
		"/etc/kubernetes/kubelet.conf":      kubelet,
		"/etc/kubernetes/proxy.conf":        proxy,
		"/etc/kubernetes/manifests/.exists": "",
	}, nil
}

// services returns the services of the node, in start order.
func (n nodeConfig) services(name string, i int) ([]machine.Service, error) {
	program := map[string]string{}
	for _, wanted := range []string{"containerd", "ctr"} {
		for _, dir := range strings.Split(n.parts.Path, ":") {
			if path, err := exec.LookPath(filepath.Join(dir, wanted)); err == nil {
				program[wanted] = path
				break
			}
		}
		if program[wanted] == "" {
			return nil, fmt.Errorf("find %s: not in %s", wanted, n.parts.Path)
		}
	}
	services := []machine.Service{{
		Name: "containerd",
		Args: []string{program["containerd"], "--config=/etc/containerd/config.toml"},
	}}
	for _, image := range n.parts.Images {
		services = append(services, machine.Service{
			Name: "import-" + filepath.Base(image), Once: true,
			Args: []string{program["ctr"], "images", "import", "--local", image},
		})
	}
	kubed := n.parts.Kubed
	return append(services,
		machine.Service{Name: "kubelet", Args: []string{
			kubed, "kubelet", "--config=/etc/kubernetes/kubelet.yaml", "--kubeconfig=/etc/kubernetes/kubelet.conf",
			"--hostname-override=" + name, fmt.Sprintf("--node-ip=%s,%s", NodeAddr4(i), NodeAddr6(i)), "--v=2",
		}},
		// The connection tracking table belongs to the whole kernel, so its size is not changed.
		machine.Service{Name: "kube-proxy", Args: []string{
			kubed, "kube-proxy", "--kubeconfig=/etc/kubernetes/proxy.conf", "--hostname-override=" + name,
			"--proxy-mode=iptables",
			"--cluster-cidr=" + Pods4 + "," + Pods6, "--conntrack-max-per-core=0",
			"--conntrack-tcp-timeout-established=0s", "--conntrack-tcp-timeout-close-wait=0s",
		}},
	), nil
}
