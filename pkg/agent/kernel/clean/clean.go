// SPDX-License-Identifier: Apache-2.0

// Package clean removes what the node agent has made in the kernel. Interfaces of pods, their routes, and everything of
// other programs stay.
package clean

import (
	"context"
	"time"

	"calico-cni/pkg/agent/kernel"
	"calico-cni/pkg/agent/kernel/link"
	"calico-cni/pkg/agent/kernel/nft"
	"calico-cni/pkg/agent/kernel/route"
)

// Table deletes the agent's table of nftables.
type Table interface {
	Commit(tx nft.Transaction) error
}

// Kernels are the parts of the kernel.
type Kernels struct {
	Links  link.Kernel
	Routes route.Kernel
	Table  Table
}

// Run removes the routes to other nodes, the tunnel devices with their neighbours, and the table. A failure of one part
// does not hold the others. A second run writes nothing but the deletion of the table.
func Run(ctx context.Context, k Kernels) []kernel.Report {
	routes := route.Driver{Kernel: k.Routes, Owner: route.Ownership{}}
	reports := []kernel.Report{
		routes.Apply(ctx, time.Time{}, nil),
		link.Driver{Kernel: k.Links}.Apply(ctx, nil),
	}
	if err := k.Table.Commit(nft.Transaction{DeleteTable: true}); err != nil {
		return append(reports, kernel.Failed("delete the table "+nft.Table, err))
	}
	return append(reports, kernel.Report{Writes: 1})
}
