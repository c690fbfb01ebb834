// SPDX-License-Identifier: Apache-2.0

package model

import (
	"fmt"
	"net/netip"

	"calico-cni/pkg/apis/crd/v1/spec"
	"calico-cni/pkg/ipam/pool"
	"calico-cni/pkg/selector"
)

// Mode says between which nodes a pool uses an encapsulation.
type Mode uint8

// The modes of an encapsulation.
const (
	Never Mode = iota
	Always
	// CrossSubnet encapsulates only between subnets.
	CrossSubnet
)

// Uses is a set of uses of a pool.
type Uses uint8

// The uses of a pool.
const (
	UseWorkload Uses = 1 << iota
	UseTunnel
	UseLoadBalancer
)

// Pool is an IPPool. Pools compare with ==.
type Pool struct {
	Name string
	// CIDR is masked.
	CIDR        netip.Prefix
	IPIP, VXLAN Mode
	// NATOutgoing translates the source of packets that leave the pools.
	NATOutgoing bool
	// Disabled stops allocations. Routes and NAT stay.
	Disabled bool
	// DisableBGPExport keeps the pool's routes out of BGP.
	DisableBGPExport bool
	Uses             Uses
	// NodeSelector selects the nodes that allocate from the pool. It may be malformed: no node then allocates.
	NodeSelector string
	// BlockSize is the prefix length of the pool's blocks.
	BlockSize int
}

// Family returns the IP family of the pool.
func (p *Pool) Family() Family {
	if p.CIDR.Addr().Is4() {
		return IPv4
	}
	return IPv6
}

// ConvertPool converts an IPPool of either API group. It returns false if the pool has no valid CIDR.
func ConvertPool(name string, in *spec.IPPool) (Pool, bool, []Finding) {
	c := poolConversion{name: name}
	cidr, err := netip.ParsePrefix(in.CIDR)
	if err != nil || cidr.Addr().Is4In6() {
		c.add("spec.cidr", fmt.Sprintf("the pool is ignored: %q is not an address with a prefix length", in.CIDR),
			"replace the pool by one with a CIDR such as 10.244.0.0/16")
		return Pool{}, false, c.findings
	}
	p := Pool{
		Name: name, CIDR: cidr.Masked(),
		IPIP: c.mode("spec.ipipMode", in.IPIPMode), VXLAN: c.mode("spec.vxlanMode", in.VXLANMode),
		NATOutgoing: in.NATOutgoing, Disabled: in.Disabled, DisableBGPExport: in.DisableBGPExport,
		Uses: c.uses(in.AllowedUses), NodeSelector: in.NodeSelector, BlockSize: in.BlockSize,
	}
	if p.BlockSize == 0 {
		p.BlockSize = pool.DefaultBlockSizeV4
		if p.Family() == IPv6 {
			p.BlockSize = pool.DefaultBlockSizeV6
		}
	}
	if p.IPIP != Never && p.Family() == IPv6 {
		c.add("spec.ipipMode", in.IPIPMode+" is ignored: IPIP carries IPv4 only", "use vxlanMode")
		p.IPIP = Never
	}
	if p.IPIP != Never && p.VXLAN != Never {
		c.add("spec.ipipMode", in.IPIPMode+" is ignored: the pool uses VXLAN", "set ipipMode or vxlanMode to Never")
		p.IPIP = Never
	}
	if _, err := selector.Parse(in.NodeSelector); err != nil {
		c.add("spec.nodeSelector", fmt.Sprintf("no node allocates from the pool: %v", err), "correct the selector")
	}
	return p, true, c.findings
}

// poolConversion reads the fields of one pool and collects findings.
type poolConversion struct {
	name     string
	findings []Finding
}

func (c *poolConversion) add(field, problem, remedy string) {
	c.findings = append(c.findings, Finding{
		Kind: KindIPPool, Name: c.name, Field: field, Problem: problem, Remedy: remedy,
	})
}

func (c *poolConversion) mode(field, text string) Mode {
	switch text {
	case "", spec.EncapNever:
		return Never
	case spec.EncapAlways:
		return Always
	case spec.EncapCrossSubnet:
		return CrossSubnet
	}
	c.add(field, fmt.Sprintf("unknown value %q counts as Never", text), "set it to Never, Always or CrossSubnet")
	return Never
}

func (c *poolConversion) uses(list []string) (u Uses) {
	for _, text := range list {
		switch text {
		case spec.UseWorkload:
			u |= UseWorkload
		case spec.UseTunnel:
			u |= UseTunnel
		case spec.UseLoadBalancer:
			u |= UseLoadBalancer
		default:
			c.add("spec.allowedUses", fmt.Sprintf("unknown use %q is ignored", text),
				"use Workload, Tunnel or LoadBalancer")
		}
	}
	if len(list) == 0 {
		return UseWorkload | UseTunnel
	}
	return u
}
