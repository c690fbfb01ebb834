// SPDX-License-Identifier: Apache-2.0

package crdstore

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"calico-cni/pkg/apis/crd/v1/spec"
	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/pool"
	"calico-cni/pkg/kubeapi"
	"calico-cni/pkg/selector"
)

// read is an object that is only read here.
type read[S any] struct {
	Metadata struct {
		Name              string     `json:"name"`
		DeletionTimestamp *spec.Time `json:"deletionTimestamp"`
	} `json:"metadata"`
	Spec S `json:"spec"`
}

// poolObject is an IPPool with its status.
type poolObject struct {
	read[spec.IPPool]
	Status struct {
		Conditions []struct {
			Type   string `json:"type"`
			Status string `json:"status"`
		} `json:"conditions"`
	} `json:"status"`
}

// singleton is the name of the one IPAMConfig and the one ClusterInformation of a cluster.
const singleton = "default"

// Ready implements ipam.Cluster. A cluster without ClusterInformation is ready.
func (s *Store) Ready(ctx context.Context) error {
	info, err := s.cluster.GetCached(ctx, singleton)
	switch {
	case errors.Is(err, kubeapi.ErrNotFound):
		return nil
	case err != nil:
		return err
	case info.Spec.DatastoreReady != nil && !*info.Spec.DatastoreReady:
		return fmt.Errorf("%w: ClusterInformation default says datastoreReady false: "+
			"wait for the end of the upgrade or migration, "+
			"or unlock the datastore if it was not finished (calicoctl datastore migrate unlock)", ipam.ErrNotReady)
	}
	return nil
}

// Config implements ipam.Cluster. A cluster without IPAMConfig has the defaults.
func (s *Store) Config(ctx context.Context) (ipam.Config, error) {
	o, err := s.configs.GetCached(ctx, singleton)
	if errors.Is(err, kubeapi.ErrNotFound) {
		return ipam.DefaultConfig(), nil
	}
	if err != nil {
		return ipam.Config{}, err
	}
	c := ipam.Config{
		StrictAffinity:     o.Spec.StrictAffinity,
		AutoAllocateBlocks: o.Spec.AutoAllocateBlocks,
		MaxBlocksPerHost:   o.Spec.MaxBlocksPerHost,
		Cooldown:           time.Duration(o.Spec.IPCooldownSeconds) * time.Second,
	}
	if c.MaxBlocksPerHost == 0 {
		c.MaxBlocksPerHost = ipam.DefaultMaxBlocksPerHost
	}
	return c, nil
}

// Pools implements ipam.Cluster. A pool that violates the data model has its error in Broken.
func (s *Store) Pools(ctx context.Context) ([]pool.Pool, error) {
	list, err := s.pools.List(ctx, kubeapi.ListOptions{Cached: true})
	if err != nil {
		return nil, err
	}
	pools := make([]pool.Pool, 0, len(list))
	for i := range list {
		pools = append(pools, decodePool(&list[i]))
	}
	return pools, nil
}

func decodePool(o *poolObject) pool.Pool {
	p := pool.Pool{
		Name: o.Metadata.Name, BlockSize: o.Spec.BlockSize,
		Disabled: o.Spec.Disabled, Deleting: o.Metadata.DeletionTimestamp != nil,
		Manual: o.Spec.AssignmentMode == spec.AssignmentManual,
	}
	for _, c := range o.Status.Conditions {
		p.Refused = p.Refused || c.Type == spec.PoolAllocatable && c.Status == "False"
	}
	for _, use := range o.Spec.AllowedUses {
		p.Uses = append(p.Uses, pool.Use(use))
	}
	cidr, err := netip.ParsePrefix(o.Spec.CIDR)
	if err != nil {
		err = fmt.Errorf("cidr %q: want an address with a prefix length, such as 10.244.0.0/16", o.Spec.CIDR)
	}
	p.CIDR = cidr.Masked()
	if p.BlockSize == 0 {
		p.BlockSize = pool.DefaultBlockSizeV4
		if cidr.Addr().Is6() {
			p.BlockSize = pool.DefaultBlockSizeV6
		}
	}
	var nodeErr, namespaceErr error
	if p.Node, nodeErr = selector.Parse(o.Spec.NodeSelector); nodeErr != nil {
		nodeErr = fmt.Errorf("nodeSelector: %w", nodeErr)
	}
	if p.Namespace, namespaceErr = selector.Parse(o.Spec.NamespaceSelector); namespaceErr != nil {
		namespaceErr = fmt.Errorf("namespaceSelector: %w", namespaceErr)
	}
	if err == nil {
		err = p.Validate()
	}
	p.Broken = errors.Join(err, nodeErr, namespaceErr)
	return p
}

// Reservations implements ipam.Cluster.
func (s *Store) Reservations(ctx context.Context) ([]netip.Prefix, error) {
	list, err := s.reservations.List(ctx, kubeapi.ListOptions{Cached: true})
	if err != nil {
		return nil, err
	}
	var reserved []netip.Prefix
	for _, o := range list {
		for _, text := range o.Spec.ReservedCIDRs {
			cidr, err := parseReserved(o.Metadata.Name, text)
			if err != nil {
				return nil, err
			}
			reserved = append(reserved, cidr)
		}
	}
	return reserved, nil
}

// parseReserved reads an entry of an IPReservation.
func parseReserved(name, text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	cidr, err := netip.ParsePrefix(text)
	if err != nil {
		return cidr, malformed("IPReservation", name,
			"reservedCIDRs: %q: want an address or a CIDR, such as 10.0.0.5 or 10.0.0.0/29", text)
	}
	return cidr.Masked(), nil
}

// NodeLabels implements ipam.Cluster.
func (s *Store) NodeLabels(ctx context.Context, node string) (map[string]string, error) {
	meta, err := kubeapi.Node(ctx, s.transport, node)
	if err != nil {
		return nil, explainNode(node, translate(err))
	}
	return meta.Labels, nil
}

// explainNode explains why the labels of a node cannot be read.
func explainNode(node string, err error) error {
	if errors.Is(err, ipam.ErrNotFound) {
		return fmt.Errorf("read labels of the node, which pools select by: %w: there is no node %s; correct nodename in "+
			"the configuration, or in the nodename file", ipam.ErrNotFound, node)
	}
	return fmt.Errorf("read labels of the node, which pools select by: %w", err)
}
