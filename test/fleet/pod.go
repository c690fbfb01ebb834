// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"calico-cni/test/machine"
)

// Pod is a network namespace on a node with an object in the API.
type Pod struct {
	Name         string
	Addr4, Addr6 netip.Addr

	node  *machine.Machine
	netns string
	fleet *Fleet
}

// AddPod creates a pod on the i-th node and attaches it with cnitool, as a container runtime does. options may modify
// the object first.
func (f *Fleet) AddPod(ctx context.Context, i int, name string, options ...func(*corev1.Pod)) (*Pod, error) {
	m := f.Nodes[i]
	if _, err := f.Server.Admin().CreatePod(ctx, m.Spec.Name, "default", name, options...); err != nil {
		return nil, err
	}
	p := &Pod{Name: name, node: m, netns: "/run/netns/" + name, fleet: f}
	script := fmt.Sprintf("mkdir -p /run/netns && : >%[1]s && exec unshare --net mount --bind /proc/self/ns/net %[1]s", p.netns)
	if _, err := m.Run(ctx, "sh", "-c", script); err != nil {
		return nil, err
	}
	if _, err := p.Exec(ctx, "sh", "-c", "echo 0 >/proc/sys/net/ipv6/conf/all/disable_ipv6"); err != nil {
		return nil, err
	}
	out, err := p.cnitool(ctx, "add")
	if err != nil {
		return nil, err
	}
	var result struct {
		IPs []struct{ Address netip.Prefix }
	}
	if err := json.Unmarshal([]byte(out), &result); err != nil {
		return nil, fmt.Errorf("read result of %s: %w: %s", name, err, out)
	}
	for _, ip := range result.IPs {
		if addr := ip.Address.Addr(); addr.Is4() {
			p.Addr4 = addr
		} else {
			p.Addr6 = addr
		}
	}
	return p, nil
}

// Remove detaches the pod and deletes its object.
func (p *Pod) Remove(ctx context.Context) error {
	if _, err := p.cnitool(ctx, "del"); err != nil {
		return err
	}
	if _, err := p.node.Run(ctx, "sh", "-c", "umount "+p.netns+" && rm "+p.netns); err != nil {
		return err
	}
	return p.fleet.Server.Admin().DeletePod(ctx, "default", p.Name)
}

// cnitool calls the plugins of the installed network configuration.
func (p *Pod) cnitool(ctx context.Context, command string) (string, error) {
	cmd := p.node.Command(ctx, "env", "CNI_PATH=/opt/cni/bin", "NETCONFPATH=/etc/cni/net.d", "CNI_IFNAME=eth0",
		"CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME="+p.Name,
		toolsDir+"/cnitool", command, Network, p.netns)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("cnitool %s %s: %w: %s%s", command, p.Name, err, out, stderr.String())
	}
	return string(out), nil
}

// Exec runs a command in the network of the pod and returns its output.
func (p *Pod) Exec(ctx context.Context, args ...string) (string, error) {
	return p.node.Run(ctx, append([]string{"nsenter", "--net=" + p.netns, "--"}, args...)...)
}

// Ping sends one packet at a time from the pod to an address until one is answered.
func (p *Pod) Ping(ctx context.Context, to netip.Addr) error {
	out, err := p.Exec(ctx, "ping", "-n", "-c", "1", "-W", "1", to.String())
	if err != nil {
		return fmt.Errorf("ping %s from %s: %w: %s", to, p.Name, err, out)
	}
	return nil
}
