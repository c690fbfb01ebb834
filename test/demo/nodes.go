// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"calico-cni/test/fleet"
	"calico-cni/test/node"
)

// reachTimeout bounds the time until the agents have programmed what two pods need.
const reachTimeout = time.Minute

// nodesShow shows two nodes in different subnets, whose pods reach each other through calico-node.
type nodesShow struct {
	fleet *fleet.Fleet
	out   io.Writer
}

// fleetPools creates the pools of the second part.
func fleetPools(ctx context.Context, d node.Datastore) error {
	vxlan := func(spec map[string]any) { spec["vxlanMode"], spec["natOutgoing"] = "Always", true }
	return errors.Join(
		d.CreatePool(ctx, "default-ipv4-ippool", "10.244.0.0/16", 26, vxlan),
		d.CreatePool(ctx, "default-ipv6-ippool", "fd00:10:244::/112", 122, vxlan),
	)
}

func (s nodesShow) run(ctx context.Context) error {
	s.line("\na pod on each node")
	var pods []*fleet.Pod
	for i := range s.fleet.Nodes {
		p, err := s.fleet.AddPod(ctx, i, fmt.Sprintf("pod-on-node-%d", i+1))
		if err != nil {
			return err
		}
		s.line("  %-7s %-14s %-12s %-14s %s", s.fleet.Nodes[i].Spec.Name, s.fleet.Addr(i, false), p.Name, p.Addr4, p.Addr6)
		pods = append(pods, p)
	}
	s.line("\nping between the nodes, through VXLAN")
	for i, from := range pods {
		to := pods[len(pods)-1-i]
		for _, addr := range []netip.Addr{to.Addr4, to.Addr6} {
			if err := s.ping(ctx, from, addr); err != nil {
				return err
			}
		}
	}
	s.line("\nroutes of node-1 that calico-node has written")
	if err := s.routes(); err != nil {
		return err
	}
	for _, p := range pods {
		if err := p.Remove(ctx); err != nil {
			return err
		}
	}
	return nil
}

// ping waits until an address answers.
func (s nodesShow) ping(ctx context.Context, from *fleet.Pod, to netip.Addr) error {
	started := time.Now()
	for {
		err := from.Ping(ctx, to)
		if err == nil {
			s.line("  %s to %-24s answered", from.Name, to)
			return nil
		}
		if time.Since(started) > reachTimeout || ctx.Err() != nil {
			return err
		}
	}
}

// routes lists the routes of the first node that lead to blocks.
func (s nodesShow) routes() error {
	ns, err := netns.GetFromPath(s.fleet.Nodes[0].NetNS())
	if err != nil {
		return fmt.Errorf("open namespace of node-1: %w", err)
	}
	defer func() { _ = ns.Close() }()
	nl, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open netlink of node-1: %w", err)
	}
	defer nl.Close()
	links, err := nl.LinkList()
	if err != nil {
		return fmt.Errorf("list links of node-1: %w", err)
	}
	names := map[int]string{}
	for _, l := range links {
		names[l.Attrs().Index] = l.Attrs().Name
	}
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		all, err := nl.RouteList(nil, family)
		if err != nil {
			return fmt.Errorf("list routes of node-1: %w", err)
		}
		for _, r := range all {
			switch dev := names[r.LinkIndex]; {
			case r.Type == unix.RTN_BLACKHOLE:
				s.line("  blackhole %s", r.Dst)
			case strings.HasPrefix(dev, "vxlan") && r.Gw != nil:
				s.line("  %s via %s dev %s", r.Dst, r.Gw, dev)
			}
		}
	}
	return nil
}

func (s nodesShow) line(format string, args ...any) { _, _ = fmt.Fprintf(s.out, format+"\n", args...) }
