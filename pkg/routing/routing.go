// SPDX-License-Identifier: Apache-2.0

// Package routing computes the network that a node needs to reach the pods of the cluster: routes, tunnel devices and
// their peers, address translation, and the MTU of pods. It is pure: values in, values out. It recomputes everything
// from the current inputs, so no history can make the result wrong.
//
// The route to a block or to a borrowed address depends on the pool and on the two nodes:
//
//	pool                     same subnet         other subnet
//	vxlanMode Always         VXLAN               VXLAN
//	vxlanMode CrossSubnet    direct              VXLAN
//	ipipMode Always          IPIP                IPIP
//	ipipMode CrossSubnet     direct              IPIP
//	no encapsulation         direct              from BGP, or no route and a finding
//
// A direct route leads through the underlay to the address of the other node. Two nodes are in the same subnet if the
// address of the other one lies in the subnet of this one. Of several pools that contain a block, the smallest counts.
//
// Bad input causes a finding and never stops the computation. What cannot be routed correctly is not routed.
package routing

import (
	"net/netip"
	"slices"
	"strings"

	"calico-cni/pkg/model"
	"calico-cni/pkg/netstate"
)

// Input is everything that the network of a node depends on. No order has a meaning. No two nodes or pools have the
// same name, and no two blocks the same CIDR, as the API guarantees.
type Input struct {
	// Node is the name of this node.
	Node   string
	Nodes  []model.Node
	Pools  []model.Pool
	Blocks []model.Block
	// Endpoints are the endpoints of the pods of this node.
	Endpoints []Endpoint
	// IPv4 and IPv6 are the links that have the address of this node.
	IPv4, IPv6 Link
	// Links are further links whose MTU bounds that of pods and tunnels, such as that of the default route.
	Links  []Link
	Config Config
}

// Endpoint is the interface of a local pod.
type Endpoint struct {
	Interface string
	// Index is the index of the interface. If two endpoints have the same address, the higher index gets the route.
	Index int
	Addrs []netip.Addr
}

// Link is a link of the host. The zero value means that there is none.
type Link struct {
	Name string
	MTU  int
}

// Result is the network that a node needs.
type Result struct {
	// State is for the drivers. It is the same for the same input in any order, except for the order of its elements.
	State netstate.State
	// MTU is that of pods.
	MTU MTU
	// Findings are sorted.
	Findings []model.Finding
}

// Compute returns the network that a node needs.
func Compute(in Input) Result {
	c := newComputation(&in)
	c.findHostMTU()
	for _, f := range []model.Family{model.IPv4, model.IPv6} {
		if f == model.IPv6 && !in.Config.IPv6 {
			continue
		}
		fam := c.newFamily(f)
		fam.addTunnels()
		fam.addBlocks()
		fam.addNAT()
		fam.reportWaiting()
	}
	c.addEndpoints()
	c.finishNAT()
	c.checkPodMTU()
	slices.SortFunc(c.out.Findings, compareFindings)
	return c.out
}

func compareFindings(a, b model.Finding) int {
	for _, pair := range [][2]string{{a.Kind, b.Kind}, {a.Name, b.Name}, {a.Field, b.Field}, {a.Problem, b.Problem}} {
		if order := strings.Compare(pair[0], pair[1]); order != 0 {
			return order
		}
	}
	return 0
}

// computation is one run of Compute.
type computation struct {
	in    *Input
	out   Result
	nodes map[string]*model.Node
	// self is this node. It is empty, and has no addresses, if the cluster has no such node.
	self         *model.Node
	pools        prefixTable[*model.Pool]
	poolsOverlap bool
	lastPool     *model.Pool
	blockTable   *prefixTable[*model.Block]
	uses         map[netip.Addr]use
	// local are the addresses of the endpoints.
	local map[netip.Addr]Endpoint
	host  Link
}

func newComputation(in *Input) *computation {
	c := &computation{in: in, nodes: make(map[string]*model.Node, len(in.Nodes))}
	for i := range in.Nodes {
		c.nodes[in.Nodes[i].Name] = &in.Nodes[i]
	}
	c.self = c.nodes[in.Node]
	if c.self == nil {
		c.self = &model.Node{Name: in.Node}
		c.find(model.KindNode, in.Node, "", "the node has no Node object: pods reach no other node",
			"check that the name of the node is that of its Node object (NODENAME)")
	}
	c.indexPools()
	c.indexUses()
	c.indexEndpoints()
	return c
}

func (c *computation) find(kind, name, field, problem, remedy string) {
	c.out.Findings = append(c.out.Findings, model.Finding{
		Kind: kind, Name: name, Field: field, Problem: problem, Remedy: remedy,
	})
}
