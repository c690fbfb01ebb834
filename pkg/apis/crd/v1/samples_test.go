// SPDX-License-Identifier: Apache-2.0

package v1_test

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	v1 "calico-cni/pkg/apis/crd/v1"
)

// object is a pointer to an object of one of the kinds.
type object interface {
	runtime.Object
	metav1.Object
}

// kind says how to create an object of a kind, and which fields its spec always has.
type kind struct {
	make     func() object
	required []string
}

// kinds are all kinds of the group, with the fields that Calico's schemas require.
var kinds = map[string]kind{
	"BlockAffinity": {
		func() object { return new(v1.BlockAffinity) },
		[]string{"cidr", "deleted", "node", "state"},
	},
	"ClusterInformation": {func() object { return new(v1.ClusterInformation) }, nil},
	"IPAMBlock": {
		func() object { return new(v1.IPAMBlock) },
		[]string{"allocations", "attributes", "cidr", "strictAffinity", "unallocated"},
	},
	"IPAMConfig":    {func() object { return new(v1.IPAMConfig) }, []string{"autoAllocateBlocks", "strictAffinity"}},
	"IPAMHandle":    {func() object { return new(v1.IPAMHandle) }, []string{"block", "handleID"}},
	"IPPool":        {func() object { return new(v1.IPPool) }, []string{"cidr"}},
	"IPReservation": {func() object { return new(v1.IPReservation) }, nil},
}

// sample is a row as a writer left it in the datastore.
type sample struct {
	name, kind string
	spec       string
	rest       string // of the object, after the spec: fields, each preceded by a comma
	want       string // the spec as we write it, if different
	unknown    []string
}

// json returns the complete object with a spec.
func (s sample) json(spec string) string {
	return fmt.Sprintf(`{"apiVersion": "crd.projectcalico.org/v1", "kind": %q, "metadata": {
		"name": "row", "uid": "6e6d8b1c-0d1f-4f0a-9a4e-0a2f8a1f7b11", "resourceVersion": "41", "generation": 3,
		"creationTimestamp": "2026-11-21T10:00:00Z",
		"labels": {"projectcalico.org/hostname-hash": "ABC234"},
		"annotations": {"projectcalico.org/metadata": "{\"labels\":{\"a\":\"<b>\"},\"creationTimestamp\":null}"},
		"finalizers": ["projectcalico.org/ippool-finalizer"],
		"ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "a", "uid": "1"}]
	}, "spec": %s%s}`, s.kind, spec, s.rest)
}

var samples = []sample{
	{name: "pool of calicoctl", kind: "IPPool", spec: `{"cidr": "10.244.0.0/16", "blockSize": 26, "ipipMode": "Never",
		"vxlanMode": "CrossSubnet",
		"natOutgoing": true, "nodeSelector": "all()", "allowedUses": ["Workload", "Tunnel"]}`},
	{name: "pool of kubectl", kind: "IPPool", spec: `{"cidr": "fd00:10::/56", "disabled": true,
		"disableBGPExport": true,
		"namespaceSelector": "team == 'a'", "assignmentMode": "Manual"}`},
	{
		name: "pool of the first versions", kind: "IPPool", unknown: []string{"ipip", "nat-outgoing"},
		spec: `{"cidr": "192.168.0.0/16", "ipip": {"enabled": true, "mode": "cross-subnet"}, "nat-outgoing": true}`,
	},
	{
		name: "pool that its controller stopped", kind: "IPPool", spec: `{"cidr": "10.0.0.0/16"}`,
		rest: `, "status": {"conditions": [{"type": "Allocatable", "status": "False", "reason": "CIDROverlap",
			"message": "overlaps pool b",
			"observedGeneration": 2, "lastTransitionTime": "2026-11-21T10:00:00Z"}]}`,
	},
	{name: "block in use", kind: "IPAMBlock", spec: `{"cidr": "10.244.1.0/30", "affinity": "host:node-a",
		"affinityClaimTime": "2026-11-21T10:00:00Z",
		"allocations": [0, null, 1, 1], "unallocated": [1], "strictAffinity": false, "deleted": true,
		"attributes": [
			{"handle_id": "ipip-tunnel-addr-node-a", "secondary": {"node": "node-a", "type": "ipipTunnelAddress"}},
			{"handle_id": "k8s-pod-network.0123", "secondary": {"namespace": "default", "node": "node-a",
				"pod": "web-0",
				"timestamp": "2026-11-21 10:00:00.123456789 +0000 UTC"}, "alternateOwnerAttrs": {"pod": "web-1"}}],
		"sequenceNumber": 1763719200123456789, "sequenceNumberForAllocation": {"0": 1763719200123456780,
			"2": 1763719200123456788}}`},
	{name: "block cooling down", kind: "IPAMBlock", spec: `{"cidr": "10.244.1.0/30",
		"affinity": "virtual:load-balancer", "allocations": [0, null, null, null],
		"unallocated": [2, 3, 1], "strictAffinity": false, "attributes": [{"releasedAt": "2026-11-21T10:00:00Z"}]}`},
	{
		name: "block of nobody", kind: "IPAMBlock",
		spec: `{"cidr": "fd00::40/122", "allocations": [], "unallocated": [], "attributes": [{}], ` +
			`"strictAffinity": true}`,
	},
	{
		name: "block with nulls", kind: "IPAMBlock", spec: `{"cidr": "10.0.0.0/26", "affinity": null,
			"allocations": null, "unallocated": null, "attributes": null,
			"strictAffinity": false, "affinityClaimTime": null, "sequenceNumber": 0, "sequenceNumberForAllocation": {},
				"deleted": false}`,
		want: `{"cidr": "10.0.0.0/26", "allocations": [], "unallocated": [], "attributes": [], ` +
			`"strictAffinity": false}`,
	},
	{
		name: "block of the first versions", kind: "IPAMBlock", spec: `{"cidr": "10.0.0.0/32", "hostAffinity": "node-a",
			"allocations": [0], "unallocated": [],
			"attributes": [{"handle_id": "a\r\nb", "secondary": null}], "Deleted": true, "StrictAffinity": true}`,
		want: `{"cidr": "10.0.0.0/32", "hostAffinity": "node-a", "allocations": [0], "unallocated": [],
			"attributes": [{"handle_id": "a\r\nb"}], "deleted": true, "strictAffinity": true}`,
	},
	{
		name: "affinity", kind: "BlockAffinity",
		spec: `{"cidr": "10.244.1.0/26", "node": "node-a", "state": "pendingDeletion", "type": "host", "deleted": ` +
			`"false"}`,
	},
	{
		name: "affinity of the first versions", kind: "BlockAffinity",
		spec: `{"cidr": "10.244.1.0/26", "node": "node-a", "state": "", "deleted": "true"}`,
	},
	{
		name: "affinity without its flag", kind: "BlockAffinity",
		spec: `{"cidr": "10.244.1.0/26", "node": "node-a", "state": "confirmed"}`,
		want: `{"cidr": "10.244.1.0/26", "node": "node-a", "state": "confirmed", "deleted": ""}`,
	},
	{
		name: "handle", kind: "IPAMHandle",
		spec: `{"handleID": "k8s-pod-network.0123", "block": {"10.244.1.0/26": 1, "fd00::40/122": 2}, ` +
			`"deleted": false}`,
	},
	{
		name: "handle of the first versions", kind: "IPAMHandle",
		spec: `{"handleID": "Default.Web", "block": null, "Deleted": true}`,
		want: `{"handleID": "Default.Web", "block": {}, "deleted": true}`,
	},
	{name: "config", kind: "IPAMConfig", spec: `{"strictAffinity": true, "autoAllocateBlocks": false,
		"maxBlocksPerHost": 2147483647,
		"ipCooldownSeconds": 1200, "kubeVirtVMAddressPersistence": "Disabled"}`},
	{
		name: "config of the first versions", kind: "IPAMConfig",
		spec: `{"strictAffinity": false, "autoAllocateBlocks": true}`,
	},
	{name: "reservation", kind: "IPReservation", spec: `{"reservedCIDRs": ["10.0.0.0/30", "10.0.0.9", "fd00::1"]}`},
	{name: "reservation of nothing", kind: "IPReservation", spec: `{}`},
	{name: "cluster", kind: "ClusterInformation", spec: `{"clusterGUID": "0123", "clusterType": "k8s,bgp,kubeadm",
		"calicoVersion": "v3.31.0",
		"datastoreReady": false, "variant": "Calico"}`},
	{name: "cluster before its node agent", kind: "ClusterInformation", spec: `{}`},
}
