// SPDX-License-Identifier: Apache-2.0

package cluster

// This file is part of the test bed: in a real cluster the node agent or the network routes between nodes. It watches
// the BlockAffinities and routes each block to its node, on the host and on all other nodes.

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"calico-cni/test/apiserver"
	"calico-cni/test/machine"
)

// routeProtocol marks the routes of the test bed. rtnetlink(7) reserves the number for administrators.
const routeProtocol = 201

// routeInterval is the interval of the updates.
const routeInterval = 250 * time.Millisecond

// routes keeps the routes up to date.
type routes struct {
	server *apiserver.Server
	nodes  []*machine.Machine
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// startRoutes starts to update the routes, and logs errors to a file.
func startRoutes(logFile string, server *apiserver.Server, nodes []*machine.Machine) (*routes, error) {
	log, err := os.Create(logFile)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &routes{server: server, nodes: nodes, cancel: cancel}
	r.done.Go(func() {
		defer log.Close()
		for ctx.Err() == nil {
			if err := r.round(ctx); err != nil && ctx.Err() == nil {
				fmt.Fprintln(log, time.Now().Format(time.RFC3339), err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(routeInterval):
			}
		}
	})
	return r, nil
}

func (r *routes) stop() {
	r.cancel()
	r.done.Wait()
}

// round updates all routes once.
func (r *routes) round(ctx context.Context) error {
	owners, err := r.owners(ctx)
	if err != nil {
		return err
	}
	errs := []error{follow("/proc/self/ns/net", r.next(owners, 0))}
	for i, node := range r.nodes {
		if node.PID() != 0 {
			errs = append(errs, follow(node.NetNS(), r.next(owners, i+1)))
		}
	}
	return errors.Join(errs...)
}

// owners returns the node of every claimed block.
func (r *routes) owners(ctx context.Context) (map[netip.Prefix]string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	affinities := r.server.Dynamic().Resource(apiserver.ResourceIn(apiserver.V3, "blockaffinities"))
	list, err := affinities.List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list affinities: %w", err)
	}
	owners := map[netip.Prefix]string{}
	for _, item := range list.Items {
		field := func(name string) string {
			value, _, _ := unstructured.NestedString(item.Object, "spec", name)
			return value
		}
		block, err := netip.ParsePrefix(field("cidr"))
		if err != nil || field("deleted") == "true" || field("state") != "confirmed" {
			continue
		}
		owners[block] = field("node")
	}
	return owners, nil
}

// next returns the next hop of every block for the i-th node; 0 is the host. A node's own blocks have none.
func (r *routes) next(owners map[netip.Prefix]string, i int) map[netip.Prefix]netip.Addr {
	hops := map[netip.Prefix]netip.Addr{}
	for block, owner := range owners {
		for j := range r.nodes {
			if fmt.Sprintf("node-%d", j+1) != owner || j+1 == i {
				continue
			}
			hops[block] = NodeAddr4(j + 1)
			if block.Addr().Is6() {
				hops[block] = NodeAddr6(j + 1)
			}
		}
	}
	return hops
}

// follow makes the routes of the test bed in a network namespace equal to hops.
func follow(ns string, hops map[netip.Prefix]netip.Addr) error {
	nl, closeNL, err := netlinkIn(ns)
	if err != nil {
		return err
	}
	defer closeNL()
	filter := &netlink.Route{Protocol: routeProtocol}
	have, err := nl.RouteListFiltered(netlink.FAMILY_ALL, filter, netlink.RT_FILTER_PROTOCOL)
	if err != nil {
		return fmt.Errorf("list routes: %w", err)
	}
	for _, route := range have {
		block, ok := prefixOf(route.Dst)
		hop, _ := netip.AddrFromSlice(route.Gw)
		if ok && hops[block] == hop.Unmap() {
			delete(hops, block)
			continue
		}
		if err := nl.RouteDel(&route); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("delete route to %s: %w", block, err)
		}
	}
	for block, hop := range hops {
		route := &netlink.Route{Dst: ipNet(block), Gw: hop.AsSlice(), Protocol: routeProtocol}
		if err := nl.RouteReplace(route); err != nil {
			return fmt.Errorf("route %s to %s: %w", block, hop, err)
		}
	}
	return nil
}

// netlinkIn opens netlink in a network namespace.
func netlinkIn(ns string) (*netlink.Handle, func(), error) {
	h, err := netns.GetFromPath(ns)
	if err != nil {
		return nil, nil, fmt.Errorf("open namespace: %w", err)
	}
	defer func() { _ = h.Close() }()
	nl, err := netlink.NewHandleAt(h)
	if err != nil {
		return nil, nil, fmt.Errorf("open netlink: %w", err)
	}
	return nl, nl.Close, nil
}
