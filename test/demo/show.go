// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"calico-cni/test/node"
)

// show runs the demo on a node.
type show struct {
	node *node.Node
	out  io.Writer
}

// run runs the demo: install, attach pods, ping, detach, verify the cleanup.
func (s show) run(ctx context.Context, count int) error {
	if err := s.pools(ctx); err != nil {
		return err
	}
	s.title("install, with a service account that may only request tokens for the plugins")
	if _, err := s.node.Install(ctx, "CNI_ASSIGN_IPV6=true"); err != nil {
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
	if err := s.verifyCleanup(ctx, before); err != nil {
		return err
	}
	for _, p := range pods {
		err = errors.Join(err, s.node.RemovePod(ctx, p.pod))
	}
	return err
}

func (s show) pools(ctx context.Context) error {
	return errors.Join(
		s.node.Datastore.CreatePool(ctx, "default-ipv4-ippool", "10.244.0.0/16", 26),
		s.node.Datastore.CreatePool(ctx, "default-ipv6-ippool", "fd00:10:244::/112", 122),
	)
}

func (s show) listInstalled() error {
	for _, dir := range []string{s.node.BinDir(), s.node.NetDir()} {
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			return err
		}
		for _, f := range files {
			s.line("  %s", strings.TrimPrefix(f, s.node.Root))
		}
	}
	return nil
}

// attach adds the pods one after the other and shows how the blocks fill.
func (s show) attach(ctx context.Context, count int) ([]attachment, error) {
	s.title("cnitool add, pod by pod")
	const row = "  %-6s %-15s %-19s %-15s %6s  %s"
	s.line(row, "POD", "IPV4", "IPV6", "HOST INTERFACE", "TOOK", "BLOCKS")
	var pods []attachment
	for i := range count {
		created, err := s.node.CreatePod(ctx, fmt.Sprintf("pod-%d", i+1))
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
		s.line(row, created.Name, p.addr4, p.addr6, p.host, fmt.Sprintf("%d ms", took.Milliseconds()),
			strings.Join(blocks, "  "))
	}
	return pods, nil
}

func (s show) add(ctx context.Context, created *node.Pod) (attachment, error) {
	out, err := s.cnitool(ctx, "add", created)
	if err != nil {
		return attachment{}, err
	}
	var result struct {
		Interfaces []struct{ Name string }
		IPs        []struct{ Address netip.Prefix }
	}
	if err := json.Unmarshal(out, &result); err != nil {
		return attachment{}, fmt.Errorf("read result of %s: %w", created.Name, err)
	}
	p := attachment{pod: created, host: result.Interfaces[0].Name}
	for _, ip := range result.IPs {
		if ip.Address.Addr().Is4() {
			p.addr4 = ip.Address.Addr()
		} else {
			p.addr6 = ip.Address.Addr()
		}
	}
	return p, nil
}

func (s show) detach(ctx context.Context, pods []attachment) error {
	s.title("cnitool del, twice for each pod: a repeated DEL succeeds")
	for _, p := range pods {
		for range 2 {
			if _, err := s.cnitool(ctx, "del", p.pod); err != nil {
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
