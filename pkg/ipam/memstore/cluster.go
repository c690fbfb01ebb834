// SPDX-License-Identifier: Apache-2.0

package memstore

import (
	"context"
	"maps"
	"net/netip"
	"slices"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/pool"
)

// Cluster is an ipam.Cluster. Its fields are the answers of its methods.
type Cluster struct {
	Settings ipam.Config
	IPPools  []pool.Pool
	Reserved []netip.Prefix
	Labels   map[string]string
	Locked   bool
}

// Ready implements ipam.Cluster.
func (c *Cluster) Ready(context.Context) error {
	if c.Locked {
		return ipam.ErrNotReady
	}
	return nil
}

// Config implements ipam.Cluster.
func (c *Cluster) Config(context.Context) (ipam.Config, error) { return c.Settings, nil }

// Pools implements ipam.Cluster.
func (c *Cluster) Pools(context.Context) ([]pool.Pool, error) { return slices.Clone(c.IPPools), nil }

// Reservations implements ipam.Cluster.
func (c *Cluster) Reservations(context.Context) ([]netip.Prefix, error) {
	return slices.Clone(c.Reserved), nil
}

// NodeLabels implements ipam.Cluster.
func (c *Cluster) NodeLabels(context.Context, string) (map[string]string, error) {
	return maps.Clone(c.Labels), nil
}
