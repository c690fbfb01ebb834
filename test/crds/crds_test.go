// SPDX-License-Identifier: Apache-2.0

// Package crds_test tests the CustomResourceDefinitions in deploy/crds with a real API server. The chart has copies of some.
package crds_test

import (
	"context"
	"os"
	"strings"
	"sync"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	v1 "calico-cni/pkg/apis/crd/v1"
	"calico-cni/pkg/apis/crd/v1/spec"
	"calico-cni/test/apiserver"
)

func TestMain(m *testing.M) { apiserver.Main(m) }

var (
	crds    sync.Once
	errCRDs error
)

// resource returns a client for one of the kinds of IPAM in crd.projectcalico.org.
func resource(t *testing.T, plural string) dynamic.ResourceInterface {
	t.Helper()
	s := apiserver.ForTest(t)
	serve(t, s)
	return s.Dynamic().Resource(v1.GroupVersion.WithResource(plural))
}

// serve applies the CustomResourceDefinitions of both groups.
func serve(t *testing.T, s *apiserver.Server) {
	t.Helper()
	crds.Do(func() {
		for _, group := range groups {
			if errCRDs == nil {
				errCRDs = s.Admin().ApplyCRDs(context.Background(), os.DirFS(groupDir(group)))
			}
		}
	})
	if errCRDs != nil {
		t.Fatal(errCRDs)
	}
}

// object returns an object of a kind with a spec in YAML.
func object(t *testing.T, kind, name, spec string) *unstructured.Unstructured {
	t.Helper()
	var fields map[string]any
	if err := yaml.Unmarshal([]byte(spec), &fields); err != nil {
		t.Fatal(err)
	}
	o := &unstructured.Unstructured{Object: map[string]any{"spec": fields}}
	o.SetGroupVersionKind(v1.GroupVersion.WithKind(kind))
	o.SetName(name)
	return o
}

// kinds maps the kinds to their plurals.
var kinds = map[string]string{
	"IPPool": spec.IPPools, "IPAMBlock": spec.IPAMBlocks, "BlockAffinity": spec.BlockAffinities,
	"IPAMHandle": spec.IPAMHandles,
	"IPAMConfig": spec.IPAMConfigs, "IPReservation": spec.IPReservations, "ClusterInformation": spec.ClusterInformations,
}

// zeros returns a list of n zeros, in YAML.
func zeros(n int) string { return "[0" + strings.Repeat(",0", n-1) + "]" }

func TestSchemasAcceptObjectsOfCalico(t *testing.T) {
	for name, tt := range map[string]struct{ kind, spec string }{
		"pool of calicoctl": {
			"IPPool",
			`{cidr: 10.1.0.0/16, blockSize: 26, ipipMode: Always, vxlanMode: Never, natOutgoing: true, nodeSelector: all(), allowedUses: [Workload, Tunnel]}`,
		},
		"pool with only a CIDR": {"IPPool", `{cidr: "fd00:1::/48"}`},
		"pool of an old writer": {
			"IPPool",
			`{cidr: 10.2.0.0/16, ipip: {enabled: true, mode: cross-subnet}, nat-outgoing: true, ipipMode: "", vxlanMode: ""}`,
		},
		"pool for load balancers": {
			"IPPool", `{cidr: 10.3.0.0/16, allowedUses: [LoadBalancer], assignmentMode: Automatic}`,
		},
		"disabled pool of one address": {"IPPool", `{cidr: 10.4.0.1/32, disabled: true}`},
		"pool of one block":            {"IPPool", `{cidr: 10.16.0.0/20, blockSize: 20}`},
		"pool with nulls": {
			"IPPool",
			`{cidr: 10.5.0.0/16, blockSize: null, ipipMode: null, nodeSelector: null, allowedUses: null, disabled: null}`,
		},
		"block": {
			"IPAMBlock",
			`{cidr: 10.1.0.0/30, affinity: "host:a", affinityClaimTime: "2026-11-21T10:00:00Z", allocations: [0, null, null, null], unallocated: [1, 2, 3], attributes: [{handle_id: h, secondary: {pod: a}}], sequenceNumber: 1763700000000000000, sequenceNumberForAllocation: {"0": 1763700000000000000}, deleted: false, strictAffinity: false}`,
		},
		"block of an old writer": {
			"IPAMBlock",
			`{cidr: 10.1.0.4/30, hostAffinity: a, allocations: [null], unallocated: [], attributes: [], strictAffinity: true, Deleted: false}`,
		},
		"block with nulls": {
			"IPAMBlock",
			`{cidr: 10.1.0.4/30, affinity: null, affinityClaimTime: null, allocations: [null], unallocated: [0], attributes: [{handle_id: null, secondary: null}], strictAffinity: false, sequenceNumberForAllocation: null}`,
		},
		"block of 4096 addresses": {
			"IPAMBlock",
			`{cidr: 10.1.16.0/20, allocations: ` + zeros(4096) + `, unallocated: [], attributes: [{}], strictAffinity: false}`,
		},
		"affinity": {
			"BlockAffinity", `{cidr: 10.1.0.0/26, node: a, state: confirmed, type: host, deleted: "false"}`,
		},
		"affinity of an old writer": {"BlockAffinity", `{cidr: 10.1.0.0/26, node: a, state: "", deleted: ""}`},
		"handle":                    {"IPAMHandle", `{handleID: K8s.A, block: {10.1.0.0/26: 1}, deleted: false}`},
		"handle of an old writer":   {"IPAMHandle", `{handleID: a, block: {}}`},
		"config":                    {"IPAMConfig", `{strictAffinity: false, autoAllocateBlocks: true}`},
		"config with all fields": {
			"IPAMConfig",
			`{strictAffinity: true, autoAllocateBlocks: false, maxBlocksPerHost: 2147483647, ipCooldownSeconds: 1200, kubeVirtVMAddressPersistence: Disabled}`,
		},
		"reservation": {
			"IPReservation", `{reservedCIDRs: [10.1.0.0/30, 10.1.0.5, 10.1.0.9/24, "fd00::1", "fd00::/64"]}`,
		},
		"empty reservation": {"IPReservation", `{}`},
		"cluster": {
			"ClusterInformation", `{clusterGUID: g, clusterType: "k8s,bgp", calicoVersion: v3.31.0, datastoreReady: true}`,
		},
		"cluster with nulls": {"ClusterInformation", `{clusterGUID: "", datastoreReady: null}`},
	} {
		t.Run(name, func(t *testing.T) {
			client := resource(t, kinds[tt.kind])
			o := object(t, tt.kind, strings.ReplaceAll(strings.ToLower(name), " ", "-"), tt.spec)
			if err := unstructured.SetNestedField(o.Object, "kept", "spec", "fromTheFuture"); err != nil {
				t.Fatal(err)
			}
			got, err := client.Create(t.Context(), o, metav1.CreateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if v, _, _ := unstructured.NestedString(got.Object, "spec", "fromTheFuture"); v != "kept" {
				t.Errorf("unknown field of the spec is %q, want it kept", v)
			}
			if err := client.Delete(t.Context(), got.GetName(), metav1.DeleteOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestSchemasRejectInvalidObjects(t *testing.T) {
	for name, tt := range map[string]struct{ kind, spec, remedy string }{
		"pool without CIDR":         {"IPPool", `{blockSize: 26}`, "cidr"},
		"pool with a bad CIDR":      {"IPPool", `{cidr: ten}`, "cidr must be a CIDR"},
		"pool with host bits":       {"IPPool", `{cidr: 10.0.0.1/16}`, "no bits set"},
		"IPv4 blocks too large":     {"IPPool", `{cidr: 10.0.0.0/16, blockSize: 19}`, "20 to 32"},
		"IPv4 blocks too small":     {"IPPool", `{cidr: 10.0.0.0/16, blockSize: 33}`, "20 to 32"},
		"IPv6 blocks too large":     {"IPPool", `{cidr: "fd00::/48", blockSize: 115}`, "116 to 128"},
		"IPv6 blocks too small":     {"IPPool", `{cidr: "fd00::/48", blockSize: 129}`, "116 to 128"},
		"pool smaller than a block": {"IPPool", `{cidr: 10.0.0.0/27}`, "smaller than one"},
		"IPIP and VXLAN": {
			"IPPool", `{cidr: 10.0.0.0/16, ipipMode: Always, vxlanMode: CrossSubnet}`, "cannot both be on",
		},
		"IPIP on IPv6":           {"IPPool", `{cidr: "fd00::/48", ipipMode: Always}`, "IPv4 only"},
		"unknown IPIP mode":      {"IPPool", `{cidr: 10.0.0.0/16, ipipMode: Sometimes}`, "Unsupported value"},
		"IPv4 link-local":        {"IPPool", `{cidr: 169.254.1.0/24}`, "link-local"},
		"around IPv4 link-local": {"IPPool", `{cidr: 169.0.0.0/8}`, "link-local"},
		"IPv6 link-local":        {"IPPool", `{cidr: "fe80:1::/64"}`, "link-local"},
		"load balancers and workloads": {
			"IPPool", `{cidr: 10.0.0.0/16, allowedUses: [LoadBalancer, Workload]}`, "no other use",
		},
		"duplicate use":           {"IPPool", `{cidr: 10.0.0.0/16, allowedUses: [Workload, Workload]}`, "Duplicate"},
		"unknown use":             {"IPPool", `{cidr: 10.0.0.0/16, allowedUses: [Fun]}`, "Unsupported value"},
		"unknown assignment mode": {"IPPool", `{cidr: 10.0.0.0/16, assignmentMode: Never}`, "Unsupported value"},
		"neither borrowing nor claiming": {
			"IPAMConfig", `{strictAffinity: false, autoAllocateBlocks: false}`, "set strictAffinity",
		},
		"block limit with borrowing": {
			"IPAMConfig", `{strictAffinity: false, autoAllocateBlocks: true, maxBlocksPerHost: 1}`, "set strictAffinity",
		},
		"negative block limit": {
			"IPAMConfig", `{strictAffinity: true, autoAllocateBlocks: true, maxBlocksPerHost: -1}`, "maxBlocksPerHost",
		},
		"block limit beyond 31 bits": {
			"IPAMConfig", `{strictAffinity: true, autoAllocateBlocks: true, maxBlocksPerHost: 2147483648}`, "maxBlocksPerHost",
		},
		"cooldown too long": {
			"IPAMConfig", `{strictAffinity: true, autoAllocateBlocks: true, ipCooldownSeconds: 1201}`, "ipCooldownSeconds",
		},
		"negative cooldown": {
			"IPAMConfig", `{strictAffinity: true, autoAllocateBlocks: true, ipCooldownSeconds: -1}`, "ipCooldownSeconds",
		},
		"config without strictAffinity": {"IPAMConfig", `{autoAllocateBlocks: true}`, "strictAffinity"},
		"reservation with a bad CIDR":   {"IPReservation", `{reservedCIDRs: [10.0.0.0/8, ten]}`, "CIDR or an address"},
		"block without allocations": {
			"IPAMBlock", `{cidr: 10.0.0.0/26, unallocated: [], attributes: [], strictAffinity: false}`, "allocations",
		},
		"affinity with a boolean deleted": {
			"BlockAffinity", `{cidr: 10.0.0.0/26, node: a, state: confirmed, deleted: false}`, "deleted",
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := object(t, tt.kind, "refused", tt.spec)
			_, err := resource(
				t,
				kinds[tt.kind],
			).Create(t.Context(), o, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), tt.remedy) {
				t.Errorf("create: %v, want Invalid with %q", err, tt.remedy)
			}
		})
	}
}

func TestPoolChanges(t *testing.T) {
	for name, tt := range map[string]struct {
		before, after string
		want          string // part of the error, empty if the change is accepted
	}{
		"another CIDR": {`{cidr: 10.0.0.0/16}`, `{cidr: 10.1.0.0/16}`, "cidr cannot be changed"},
		"another block size": {
			`{cidr: 10.0.0.0/16, blockSize: 26}`, `{cidr: 10.0.0.0/16, blockSize: 27}`, "blockSize cannot be changed",
		},
		"block size removed": {
			`{cidr: 10.0.0.0/16, blockSize: 27}`, `{cidr: 10.0.0.0/16}`, "blockSize cannot be changed",
		},
		"other than default block size": {
			`{cidr: 10.0.0.0/16}`, `{cidr: 10.0.0.0/16, blockSize: 27}`, "blockSize cannot be changed",
		},
		"default block size set":      {`{cidr: 10.0.0.0/16}`, `{cidr: 10.0.0.0/16, blockSize: 26}`, ""},
		"IPv6 default block size set": {`{cidr: "fd00::/48", blockSize: 0}`, `{cidr: "fd00::/48", blockSize: 122}`, ""},
		"all other fields": {
			`{cidr: 10.0.0.0/16}`,
			`{cidr: 10.0.0.0/16, disabled: true, vxlanMode: Always, nodeSelector: none(), assignmentMode: Manual}`, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			client, ctx := resource(t, spec.IPPools), t.Context()
			o, err := client.Create(ctx, object(t, "IPPool", "changed", tt.before), metav1.CreateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := client.Delete(context.Background(), "changed", metav1.DeleteOptions{}); err != nil {
					t.Error(err)
				}
			})
			o.Object["spec"] = object(t, "IPPool", "changed", tt.after).Object["spec"]
			_, err = client.Update(ctx, o, metav1.UpdateOptions{})
			if tt.want == "" && err != nil {
				t.Errorf("update: %v, want success", err)
			}
			if tt.want != "" && (!apierrors.IsInvalid(err) || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("update: %v, want Invalid with %q", err, tt.want)
			}
		})
	}
}

func TestPoolsGetDefaultsAndStatus(t *testing.T) {
	client, ctx := resource(t, spec.IPPools), t.Context()
	o, err := client.Create(ctx, object(t, "IPPool", "plain", `{cidr: 10.0.0.0/16}`), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]string{
		"ipipMode": spec.EncapNever, "vxlanMode": spec.EncapNever, "nodeSelector": "all()",
		"assignmentMode": spec.AssignmentAutomatic,
	} {
		if got, _, _ := unstructured.NestedString(o.Object, "spec", field); got != want {
			t.Errorf("%s is %q, want %q", field, got, want)
		}
	}
	o.Object["status"] = map[string]any{"conditions": []any{map[string]any{
		"type": spec.PoolAllocatable, "status": "False", "reason": "CIDROverlap", "message": "",
		"lastTransitionTime": "2026-11-21T10:00:00Z",
	}}}
	if o, err = client.UpdateStatus(ctx, o, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, found, _ := unstructured.NestedSlice(o.Object, "status", "conditions"); !found {
		t.Error("the status was not kept")
	}
	if err := client.Delete(ctx, "plain", metav1.DeleteOptions{}); err != nil {
		t.Error(err)
	}
}
