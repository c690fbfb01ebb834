// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"calico-cni/test/node"
	"calico-cni/test/sandbox"
)

// attachment is an attached pod.
type attachment struct {
	pod          *node.Pod
	host         string // name of its host interface
	addr4, addr6 netip.Addr
}

// cnitool calls the plugins of the installed network configuration, as a container runtime does.
func (s show) cnitool(ctx context.Context, command string, p *node.Pod) ([]byte, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(s.node.Tools, "cnitool"), command, node.Network, p.NetNS)
	cmd.Env = []string{
		"CNI_PATH=" + s.node.BinDir(), "NETCONFPATH=" + s.node.NetDir(), "CNI_IFNAME=eth0",
		"CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=" + p.Name,
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("cnitool %s %s: %w: %s%s", command, p.Name, err, out, stderr.String())
	}
	return out, nil
}

// blocks describes each block of the datastore: its CIDR, a bar, and the number of allocated addresses.
func (s show) blocks(ctx context.Context) ([]string, error) {
	specs, err := s.node.Datastore.List(ctx, "ipamblocks")
	if err != nil {
		return nil, err
	}
	var out []string
	for _, spec := range specs {
		total := len(spec["allocations"].([]any))
		used := total - len(spec["unallocated"].([]any))
		bar := strings.Repeat("#", used) + strings.Repeat(".", max(0, 8-used))
		out = append(out, fmt.Sprintf("%s %s %d/%d", spec["cidr"], bar, used, total))
	}
	slices.Sort(out)
	return out, nil
}

// pings sends packets of both families between pods, from a pod to the host and from the host to a pod.
func (s show) pings(ctx context.Context, pods []attachment) error {
	s.title("ping, IPv4 and IPv6")
	first, last := pods[0], pods[len(pods)-1]
	for _, p := range []struct {
		what string
		from *attachment
		to   []netip.Addr
	}{
		{first.pod.Name + " to " + last.pod.Name, &first, []netip.Addr{last.addr4, last.addr6}},
		{last.pod.Name + " to " + first.pod.Name, &last, []netip.Addr{first.addr4, first.addr6}},
		{first.pod.Name + " to the host", &first, []netip.Addr{sandbox.Node4, sandbox.Node6}},
		{"the host to " + last.pod.Name, nil, []netip.Addr{last.addr4, last.addr6}},
	} {
		for _, to := range p.to {
			args := []string{"ping", "-n", "-q", "-c", "2", "-i", "0.2", "-W", "5", to.String()}
			if p.from != nil {
				args = append([]string{"nsenter", "--net=" + p.from.pod.NetNS}, args...)
			}
			out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
			if err != nil {
				return fmt.Errorf("ping from %s: %w\n%s", p.what, err, out)
			}
			_, times, _ := strings.Cut(strings.TrimSpace(string(out)), "rtt ")
			s.line("  %-20s %-24s answered, %s", p.what, to, times)
		}
	}
	return nil
}
