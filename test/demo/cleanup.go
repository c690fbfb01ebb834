// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
)

// leftovers lists what attachments create: interfaces and routes of the node, handles, and owners in blocks.
func (s show) leftovers(ctx context.Context) (map[string][]string, error) {
	found := map[string][]string{"interfaces": nil, "routes": nil, "handles": nil, "allocations": nil}
	links, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	for _, l := range links {
		found["interfaces"] = append(found["interfaces"], l.Attrs().Name)
	}
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		routes, err := netlink.RouteList(nil, family)
		if err != nil {
			return nil, fmt.Errorf("list routes: %w", err)
		}
		for _, r := range routes {
			found["routes"] = append(found["routes"], r.Dst.String())
		}
	}
	handles, err := s.node.Datastore.List(ctx, "ipamhandles")
	if err != nil {
		return nil, err
	}
	for name := range handles {
		found["handles"] = append(found["handles"], name)
	}
	blocks, err := s.node.Datastore.List(ctx, "ipamblocks")
	if err != nil {
		return nil, err
	}
	for name, spec := range blocks {
		for range spec["attributes"].([]any) {
			found["allocations"] = append(found["allocations"], name)
		}
	}
	for _, names := range found {
		slices.Sort(names)
	}
	return found, nil
}

// verifyCleanup compares the state with that before the first pod.
func (s show) verifyCleanup(ctx context.Context, before map[string][]string) error {
	s.title("what the pods left behind")
	after, err := s.leftovers(ctx)
	if err != nil {
		return err
	}
	var left []string
	for _, kind := range []string{"interfaces", "routes", "handles", "allocations"} {
		existed := func(name string) bool { return slices.Contains(before[kind], name) }
		extra := slices.DeleteFunc(slices.Clone(after[kind]), existed)
		s.line("  %-12s %d", kind, len(extra))
		for _, name := range extra {
			left = append(left, kind+": "+name)
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("left behind: %s", strings.Join(left, ", "))
	}
	return nil
}
