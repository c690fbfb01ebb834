// SPDX-License-Identifier: Apache-2.0

package crdstore

import (
	"context"
	"maps"

	"calico-cni/pkg/apis/crd/v1/spec"
	v3 "calico-cni/pkg/apis/projectcalico/v3/spec"
	"calico-cni/pkg/ipam"
	"calico-cni/pkg/kubeapi"
)

// affinityTable is the table of affinities, whose content depends on the API group.
type affinityTable interface {
	ipam.Table[ipam.AffinityKey, ipam.Affinity]
	// list ignores objects without a valid CIDR, so that the others can be used.
	list(ctx context.Context, options kubeapi.ListOptions) ([]ipam.AffinityRow, error)
}

// affinities is an affinityTable with contents of type S.
type affinities[S any] struct {
	table[ipam.AffinityKey, ipam.Affinity, S]
	codec affinityCodec[S]
}

func newAffinities(t Transport, group Group) affinityTable {
	if group == V3 {
		return affinitiesOf(t, group, v3Affinities)
	}
	return affinitiesOf(t, group, v1Affinities)
}

func affinitiesOf[S any](t Transport, group Group, codec affinityCodec[S]) affinities[S] {
	return affinities[S]{
		table: table[ipam.AffinityKey, ipam.Affinity, S]{
			resource: kubeapi.NewObjects[S](t, string(group), spec.BlockAffinities), codec: codec,
			apiVersion: string(group), kind: "BlockAffinity",
		},
		codec: codec,
	}
}

func (t affinities[S]) list(ctx context.Context, options kubeapi.ListOptions) (rows []ipam.AffinityRow, err error) {
	objects, err := t.resource.List(ctx, options)
	if err != nil {
		return nil, translate(err)
	}
	for i := range objects {
		key, err := t.codec.key(&objects[i])
		if err != nil {
			continue
		}
		row, err := t.row(&objects[i])
		if err != nil {
			return nil, err
		}
		rows = append(rows, ipam.AffinityRow{Key: key, Row: row})
	}
	return rows, nil
}

// affinityCodec converts the contents of an API group by way of those of crd.projectcalico.org/v1.
type affinityCodec[S any] struct {
	content    func(s S) spec.BlockAffinity
	setContent func(s *S, content spec.BlockAffinity)
}

var (
	v1Affinities = affinityCodec[spec.BlockAffinity]{
		content:    func(s spec.BlockAffinity) spec.BlockAffinity { return s },
		setContent: func(s *spec.BlockAffinity, content spec.BlockAffinity) { *s = content },
	}
	v3Affinities = affinityCodec[v3.BlockAffinity]{content: fromV3, setContent: setV3}
)

func (affinityCodec[S]) name(k ipam.AffinityKey) string { return affinityName(k.Node, k.CIDR) }

func (c affinityCodec[S]) key(o *kubeapi.Object[S]) (ipam.AffinityKey, error) {
	content := c.content(o.Spec)
	cidr, err := parseCIDR("BlockAffinity", o.Metadata.Name, content.CIDR)
	return ipam.AffinityKey{Node: content.Node, CIDR: cidr}, err
}

func (c affinityCodec[S]) decode(o *kubeapi.Object[S]) (ipam.Affinity, bool, error) {
	content := c.content(o.Spec)
	a := ipam.Affinity{State: ipam.State(content.State), Created: o.Metadata.Created}
	if a.State == "" {
		a.State = ipam.Confirmed
	}
	return a, content.Deleted == spec.DeletedTrue, nil
}

func (c affinityCodec[S]) fill(o *kubeapi.Object[S], k ipam.AffinityKey, a ipam.Affinity, deleted bool) {
	o.Metadata.Name = affinityName(k.Node, k.CIDR)
	content := c.content(o.Spec)
	content.Node, content.CIDR = k.Node, k.CIDR.String()
	content.State, content.Type = string(a.State), spec.AffinityTypeHost
	content.Deleted = spec.DeletedFalse
	if deleted {
		content.Deleted = spec.DeletedTrue
	}
	c.setContent(&o.Spec, content)
	labels := map[string]string{}
	maps.Copy(labels, o.Metadata.Labels)
	labels[spec.LabelHostnameHash], labels[spec.LabelAffinityType] = hostnameHash(k.Node), spec.AffinityTypeHost
	labels[spec.LabelIPVersion] = "4"
	if k.CIDR.Addr().Is6() {
		labels[spec.LabelIPVersion] = "6"
	}
	o.Metadata.Labels = labels
}

// fromV3 returns the content of an affinity of projectcalico.org/v3, where deleted is a boolean.
func fromV3(s v3.BlockAffinity) spec.BlockAffinity {
	content := spec.BlockAffinity{
		State: s.State, Node: s.Node, Type: s.Type, CIDR: s.CIDR, Deleted: spec.DeletedFalse, Unknown: s.Unknown,
	}
	if s.Deleted {
		content.Deleted = spec.DeletedTrue
	}
	return content
}

func setV3(s *v3.BlockAffinity, content spec.BlockAffinity) {
	*s = v3.BlockAffinity{
		State: content.State, Node: content.Node, Type: content.Type, CIDR: content.CIDR,
		Deleted: content.Deleted == spec.DeletedTrue, Unknown: content.Unknown,
	}
}
