// SPDX-License-Identifier: Apache-2.0

// Package crdstore implements ipam.Store and ipam.Cluster with the objects of crd.projectcalico.org/v1 in the
// Kubernetes API, as Calico reads and writes them. An update keeps the fields that the allocator does not know:
// labels, annotations, finalizers, and fields of newer writers.
package crdstore

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"calico-cni/pkg/apis/crd/v1/spec"
	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/kube"
)

// Store implements ipam.Store and ipam.Cluster on an API server.
type Store struct {
	client       *kube.Client
	blocks       table[netip.Prefix, block.Block, spec.IPAMBlock]
	affinities   table[ipam.AffinityKey, ipam.Affinity, spec.BlockAffinity]
	handles      ipam.Table[string, ipam.Handle]
	pools        kube.Resource[poolObject]
	configs      kube.Resource[read[spec.IPAMConfig]]
	reservations kube.Resource[read[spec.IPReservation]]
	cluster      kube.Resource[read[spec.ClusterInformation]]
	labelled     Once
	overlaps     *overlapReader
}

// Once records that a one-time task was done on this node.
type Once interface {
	Done() bool
	Record() error
}

// New returns the store of the client's cluster. labelled records that the affinities of the node have labels; writers
// before 2025 set none.
func New(c *kube.Client, labelled Once) *Store {
	const gv = spec.GroupVersion
	blocks := kube.NewObjects[spec.IPAMBlock](c, gv, spec.IPAMBlocks)
	blocks.Untracked = true
	return &Store{
		client:   c,
		labelled: labelled,
		overlaps: &overlapReader{blocks: blocks},
		blocks: table[netip.Prefix, block.Block, spec.IPAMBlock]{
			blocks, blockCodec{},
		},
		affinities: table[ipam.AffinityKey, ipam.Affinity, spec.BlockAffinity]{
			kube.NewObjects[spec.BlockAffinity](c, gv, spec.BlockAffinities), affinityCodec{},
		},
		handles: table[string, ipam.Handle, spec.IPAMHandle]{
			kube.NewObjects[spec.IPAMHandle](c, gv, spec.IPAMHandles), handleCodec{},
		},
		pools:        kube.NewResource[poolObject](c, gv, spec.IPPools),
		configs:      kube.NewResource[read[spec.IPAMConfig]](c, gv, spec.IPAMConfigs),
		reservations: kube.NewResource[read[spec.IPReservation]](c, gv, spec.IPReservations),
		cluster:      kube.NewResource[read[spec.ClusterInformation]](c, gv, spec.ClusterInformations),
	}
}

// Blocks implements ipam.Store.
func (s *Store) Blocks() ipam.Table[netip.Prefix, block.Block] { return s.blocks }

// Affinities implements ipam.Store.
func (s *Store) Affinities() ipam.Table[ipam.AffinityKey, ipam.Affinity] { return s.affinities }

// Handles implements ipam.Store.
func (s *Store) Handles() ipam.Table[string, ipam.Handle] { return s.handles }

// AffinitiesOf implements ipam.Store. It selects affinities by the labels that every writer since 2025 sets. The first
// call that allows no cached answer adds the labels to older rows, before the node claims a new block.
func (s *Store) AffinitiesOf(ctx context.Context, node string, cached bool) ([]ipam.AffinityRow, error) {
	if !cached && !s.labelled.Done() {
		if err := s.label(ctx, node); err != nil {
			return nil, err
		}
	}
	// Callers that list affinities may claim a block next.
	counted := make(chan struct{})
	go func() { defer close(counted); s.overlaps.count(ctx) }()
	defer func() { <-counted }()
	selector := spec.LabelHostnameHash + "=" + hostnameHash(node) + "," +
		spec.LabelAffinityType + "=" + spec.AffinityTypeHost
	list, err := s.affinities.resource.List(ctx, kube.ListOptions{Selector: selector, Cached: cached})
	if err != nil {
		return nil, translate(err)
	}
	var rows []ipam.AffinityRow
	for i := range list {
		// Ignore an affinity without a valid CIDR, so that the others can be used.
		key, err := affinityKey(&list[i])
		if err != nil || key.Node != node {
			continue
		}
		row, err := s.affinities.row(&list[i])
		if err != nil {
			return nil, err
		}
		rows = append(rows, ipam.AffinityRow{Key: key, Row: row})
	}
	return rows, nil
}

// label adds missing labels to the affinities of the node. It lists the affinities of all nodes without labels; current
// writers leave none.
func (s *Store) label(ctx context.Context, node string) error {
	list, err := s.affinities.resource.List(ctx, kube.ListOptions{Selector: "!" + spec.LabelHostnameHash})
	if err != nil {
		return translate(err)
	}
	for i := range list {
		key, err := affinityKey(&list[i])
		if err != nil || key.Node != node {
			continue
		}
		row, err := s.affinities.row(&list[i])
		if err != nil {
			return err
		}
		// An update adds the labels. After a conflict, another process has added them or deleted the row.
		_, err = s.affinities.Update(ctx, key, row)
		if err != nil && !errors.Is(err, ipam.ErrConflict) && !errors.Is(err, ipam.ErrNotFound) {
			return fmt.Errorf("label affinity to %s: %w", key.CIDR, err)
		}
	}
	// If this cannot be recorded, the next command repeats the work, which is harmless.
	_ = s.labelled.Record()
	return nil
}
