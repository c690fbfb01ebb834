// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"calico-cni/test/node"
	"calico-cni/test/sandbox"
)

// show is the demo on its node.
type show struct {
	*node.Node
	out io.Writer
}

// pod is one attached pod.
type pod struct {
	*node.Pod
	host         string
	addr4, addr6 netip.Addr
}

// play runs the demo: install, attach, ping, detach, prove.
func (s show) play(ctx context.Context, count int) error {
	if err := s.pools(ctx); err != nil {
		return err
	}
	s.title("install, under a service account that may do nothing but have the plugins' token issued")
	if _, err := s.Install(ctx, "CNI_ASSIGN_IPV6=true"); err != nil {
		return err
	}
	if err := s.listInstalled(); err != nil {
		return err
	}
	before, err := s.leftovers(ctx)
	if err != nil {
		return err
	}
	pods, err := s.attach(ctx, count)
	if err != nil {
		return err
	}
	if err := s.pings(ctx, pods); err != nil {
		return err
	}
	if err := s.detach(ctx, pods); err != nil {
		return err
	}
	if err := s.prove(ctx, before); err != nil {
		return err
	}
	for _, p := range pods {
		err = errors.Join(err, s.RemovePod(ctx, p.Pod))
	}
	return err
}

func (s show) pools(ctx context.Context) error {
	return errors.Join(
		s.CreatePool(ctx, "default-ipv4-ippool", "10.244.0.0/16", 26),
		s.CreatePool(ctx, "default-ipv6-ippool", "fd00:10:244::/112", 122),
	)
}

func (s show) listInstalled() error {
	for _, dir := range []string{s.BinDir(), s.NetDir()} {
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			return err
		}
		for _, f := range files {
			s.line("  %s", strings.TrimPrefix(f, s.Root))
		}
	}
	return nil
}

// attach adds the pods, one after the other, and shows how the blocks fill up.
func (s show) attach(ctx context.Context, count int) ([]pod, error) {
	s.title("cnitool add, pod by pod")
	const row = "  %-6s %-15s %-19s %-15s %6s  %s"
	s.line(row, "POD", "IPV4", "IPV6", "HOST INTERFACE", "TOOK", "BLOCKS")
	var pods []pod
	for i := range count {
		created, err := s.CreatePod(ctx, fmt.Sprintf("pod-%d", i+1))
		if err != nil {
			return nil, err
		}
		started := time.Now()
		p, err := s.add(ctx, created)
		if err != nil {
			return nil, err
		}
		took := time.Since(started)
		blocks, err := s.blocks(ctx)
		if err != nil {
			return nil, err
		}
		pods = append(pods, p)
		s.line(row, p.Name, p.addr4, p.addr6, p.host, fmt.Sprintf("%d ms", took.Milliseconds()), strings.Join(blocks, "  "))
	}
	return pods, nil
}

func (s show) add(ctx context.Context, created *node.Pod) (pod, error) {
	out, err := s.cnitool(ctx, "add", created)
	if err != nil {
		return pod{}, err
	}
	var result struct {
		Interfaces []struct{ Name string }
		IPs        []struct{ Address netip.Prefix }
	}
	if err := json.Unmarshal(out, &result); err != nil {
		return pod{}, fmt.Errorf("read result of %s: %w", created.Name, err)
	}
	p := pod{Pod: created, host: result.Interfaces[0].Name}
	for _, ip := range result.IPs {
		if ip.Address.Addr().Is4() {
			p.addr4 = ip.Address.Addr()
		} else {
			p.addr6 = ip.Address.Addr()
		}
	}
	return p, nil
}

// cnitool runs the runtime's part: it reads the installed configuration and calls the plugins in it.
func (s show) cnitool(ctx context.Context, command string, p *node.Pod) ([]byte, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(s.Tools, "cnitool"), command, node.Network, p.NetNS)
	cmd.Env = []string{
		"CNI_PATH=" + s.BinDir(), "NETCONFPATH=" + s.NetDir(), "CNI_IFNAME=eth0",
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

// blocks shows each block of the node as it is stored: its CIDR, a bar, and how many of its addresses are held.
func (s show) blocks(ctx context.Context) ([]string, error) {
	specs, err := s.List(ctx, "ipamblocks")
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

// pings sends packets over both families: between pods, from a pod to the host and from the host to a pod.
func (s show) pings(ctx context.Context, pods []pod) error {
	s.title("ping, over both families")
	first, last := pods[0], pods[len(pods)-1]
	for _, p := range []struct {
		what string
		from *pod
		to   []netip.Addr
	}{
		{first.Name + " to " + last.Name, &first, []netip.Addr{last.addr4, last.addr6}},
		{last.Name + " to " + first.Name, &last, []netip.Addr{first.addr4, first.addr6}},
		{first.Name + " to the host", &first, []netip.Addr{sandbox.Node4, sandbox.Node6}},
		{"the host to " + last.Name, nil, []netip.Addr{last.addr4, last.addr6}},
	} {
		for _, to := range p.to {
			args := []string{"ping", "-n", "-q", "-c", "2", "-i", "0.2", "-W", "5", to.String()}
			if p.from != nil {
				args = append([]string{"nsenter", "--net=" + p.from.NetNS}, args...)
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

func (s show) detach(ctx context.Context, pods []pod) error {
	s.title("cnitool del, each pod twice: the second time there is nothing to do, and that is no error")
	for _, p := range pods {
		for range 2 {
			if _, err := s.cnitool(ctx, "del", p.Pod); err != nil {
				return err
			}
		}
	}
	blocks, err := s.blocks(ctx)
	s.line("  %s", strings.Join(blocks, "\n  "))
	return err
}

func (s show) title(text string) { s.line("\n%s", text) }

func (s show) line(format string, args ...any) { _, _ = fmt.Fprintf(s.out, format+"\n", args...) }
