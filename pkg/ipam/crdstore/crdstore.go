// SPDX-License-Identifier: Apache-2.0

// Package crdstore implements ipam.Store and ipam.Cluster with the objects of an API group in the
// Kubernetes API, as Calico reads and writes them. An update keeps the fields that the allocator does not know:
// labels, annotations, finalizers, and fields of newer writers.
package crdstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"calico-cni/pkg/apis/crd/v1/spec"
	v3 "calico-cni/pkg/apis/projectcalico/v3/spec"
	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/kubeapi"
)

// Store implements ipam.Store and ipam.Cluster on an API server.
type Store struct {
	transport    Transport
	blocks       table[netip.Prefix, block.Block, spec.IPAMBlock]
	affinities   affinityTable
	handles      ipam.Table[string, ipam.Handle]
	pools        kubeapi.Resource[poolObject]
	configs      kubeapi.Resource[read[spec.IPAMConfig]]
	reservations kubeapi.Resource[read[spec.IPReservation]]
	cluster      kubeapi.Resource[read[spec.ClusterInformation]]
	labelled     Once
	overlaps     *overlapReader
}

// Transport sends the requests of the store to an API server. pkg/kube implements it for the plugins, and
// pkg/kubeapi/clientgo for daemons.
type Transport = kubeapi.Transport

// Once records that a one-time task was done on this node.
type Once interface {
	Done() bool
	Record() error
}

// Group is an API group and version that holds Calico's objects. The names of the resources are the same in both, but
// for the IPAM configuration.
type Group string

// The groups. Newer versions of Calico keep their objects in V3.
const (
	V1 Group = spec.GroupVersion
	V3 Group = v3.GroupVersion
)

// configs returns the plural name of the IPAM configuration.
func (g Group) configs() string {
	if g == V3 {
		return v3.IPAMConfigurations
	}
	return spec.IPAMConfigs
}

// New returns the store of the transport's cluster in an API group; empty means V1. labelled records that the
// affinities of the node have labels; writers before 2025 set none.
func New(t Transport, group Group, labelled Once) *Store {
	group = cmp.Or(group, V1)
	gv := string(group)
	blocks := kubeapi.NewObjects[spec.IPAMBlock](t, gv, spec.IPAMBlocks)
	blocks.Untracked = true
	return &Store{
		transport:  t,
		labelled:   labelled,
		overlaps:   &overlapReader{blocks: blocks},
		affinities: newAffinities(t, group),
		blocks: table[netip.Prefix, block.Block, spec.IPAMBlock]{
			resource: blocks, codec: blockCodec{}, apiVersion: gv, kind: "IPAMBlock",
		},
		handles: table[string, ipam.Handle, spec.IPAMHandle]{
			resource: kubeapi.NewObjects[spec.IPAMHandle](t, gv, spec.IPAMHandles), codec: handleCodec{},
			apiVersion: gv, kind: "IPAMHandle",
		},
		pools:        kubeapi.NewResource[poolObject](t, gv, spec.IPPools),
		configs:      kubeapi.NewResource[read[spec.IPAMConfig]](t, gv, group.configs()),
		reservations: kubeapi.NewResource[read[spec.IPReservation]](t, gv, spec.IPReservations),
		cluster:      kubeapi.NewResource[read[spec.ClusterInformation]](t, gv, spec.ClusterInformations),
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
	rows, err := s.affinities.list(ctx, kubeapi.ListOptions{Selector: selector, Cached: cached})
	return slices.DeleteFunc(rows, func(r ipam.AffinityRow) bool { return r.Key.Node != node }), err
}

// label adds missing labels to the affinities of the node. It lists the affinities of all nodes without labels; current
// writers leave none.
func (s *Store) label(ctx context.Context, node string) error {
	rows, err := s.affinities.list(ctx, kubeapi.ListOptions{Selector: "!" + spec.LabelHostnameHash})
	if err != nil {
		return err
	}
	for _, r := range rows {
		if r.Key.Node != node {
			continue
		}
		// An update adds the labels. After a conflict, another process has added them or deleted the row.
		_, err = s.affinities.Update(ctx, r.Key, r.Row)
		if err != nil && !errors.Is(err, ipam.ErrConflict) && !errors.Is(err, ipam.ErrNotFound) {
			return fmt.Errorf("label affinity to %s: %w", r.Key.CIDR, err)
		}
	}
	// If this cannot be recorded, the next command repeats the work, which is harmless.
	_ = s.labelled.Record()
	return nil
}
