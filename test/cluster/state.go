// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"calico-cni/test/apiserver"
	"calico-cni/test/machine"
)

// Owners maps addresses to their owners as text, such as "node-1 default/web".
type Owners map[netip.Addr][]string

// text returns one line for each address and owner, sorted.
func (o Owners) text() string {
	var lines []string
	for _, addr := range slices.SortedFunc(maps.Keys(o), netip.Addr.Compare) {
		for _, owner := range slices.Sorted(slices.Values(o[addr])) {
			lines = append(lines, addr.String()+" "+owner+"\n")
		}
	}
	return strings.Join(lines, "")
}

// State reads the addresses of a cluster from the API, the blocks and the kernels.
type State struct {
	server *apiserver.Server
	nodes  []*machine.Machine
}

// PodAddrs returns the addresses of all running pods with a network of their own, from the API. leaving includes
// pods that are being deleted, which may already have released their addresses.
func (s State) PodAddrs(ctx context.Context, leaving bool) (Owners, error) {
	pods, err := s.server.Client().CoreV1().Pods("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list pods: %w", err)
	}
	owners := Owners{}
	for _, pod := range pods.Items {
		ended := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
		if pod.Spec.HostNetwork || ended || pod.DeletionTimestamp != nil && !leaving {
			continue
		}
		for _, ip := range pod.Status.PodIPs {
			addr, err := netip.ParseAddr(ip.IP)
			if err != nil {
				return nil, fmt.Errorf("parse address of pod %s: %w", pod.Name, err)
			}
			owners[addr] = append(owners[addr], pod.Spec.NodeName+" "+pod.Namespace+"/"+pod.Name)
		}
	}
	return owners, nil
}

// block is the part of an IPAMBlock's spec about the owners of its addresses.
type block struct {
	CIDR        netip.Prefix `json:"cidr"`
	Allocations []*int       `json:"allocations"`
	Attributes  []struct {
		Secondary map[string]string `json:"secondary"`
	} `json:"attributes"`
	Deleted bool `json:"deleted"`
}

// BlockAddrs returns the allocated addresses of all blocks.
func (s State) BlockAddrs(ctx context.Context) (Owners, error) {
	list, err := s.server.Dynamic().Resource(apiserver.ResourceIn(apiserver.V3, "ipamblocks")).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list blocks: %w", err)
	}
	owners := Owners{}
	for _, item := range list.Items {
		spec, _, err := unstructured.NestedMap(item.Object, "spec")
		if err != nil {
			return nil, fmt.Errorf("read block %s: %w", item.GetName(), err)
		}
		data, err := json.Marshal(spec)
		if err != nil {
			return nil, err
		}
		var b block
		if err := json.Unmarshal(data, &b); err != nil {
			return nil, fmt.Errorf("read block %s: %w", item.GetName(), err)
		}
		if b.Deleted {
			continue
		}
		addr := b.CIDR.Addr()
		for _, attribute := range b.Allocations {
			if attribute != nil {
				a := b.Attributes[*attribute].Secondary
				owners[addr] = append(owners[addr], a["node"]+" "+a["namespace"]+"/"+a["pod"])
			}
			addr = addr.Next()
		}
	}
	return owners, nil
}

// RouteAddrs returns the addresses that the nodes' kernels route to a pod's interface: "node-1 cali0123456789a#7".
func (s State) RouteAddrs() (Owners, error) {
	owners := Owners{}
	for _, node := range s.nodes {
		if node.PID() == 0 {
			continue
		}
		if err := podRoutes(node.NetNS(), node.Spec.Name, owners); err != nil {
			return nil, fmt.Errorf("list routes of %s: %w", node.Spec.Name, err)
		}
	}
	return owners, nil
}

// podRoutes adds the host routes of a namespace through interfaces of pods.
func podRoutes(ns, node string, owners Owners) error {
	nl, closeNL, err := netlinkIn(ns)
	if err != nil {
		return err
	}
	defer closeNL()
	links, err := nl.LinkList()
	if err != nil {
		return err
	}
	names := map[int]string{}
	for _, link := range links {
		if a := link.Attrs(); strings.HasPrefix(a.Name, "cali") {
			names[a.Index] = a.Name
		}
	}
	routes, err := nl.RouteList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return err
	}
	for _, route := range routes {
		dst, ok := prefixOf(route.Dst)
		name := names[route.LinkIndex]
		if ok && name != "" && dst.IsSingleIP() && !dst.Addr().IsLinkLocalUnicast() {
			owners[dst.Addr()] = append(owners[dst.Addr()], fmt.Sprintf("%s %s#%d", node, name, route.LinkIndex))
		}
	}
	return nil
}
