// SPDX-License-Identifier: Apache-2.0

package messages_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"calico-cni/internal/deadline"
	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/memstore"
	"calico-cni/pkg/ipam/pool"
	"calico-cni/pkg/nodeipam"
	"calico-cni/test/apiserver"
)

// object is an object in the datastore.
type object struct {
	resource, kind, name string
	spec                 map[string]any
}

func ippool(name, cidr string, more ...any) object {
	spec := map[string]any{"cidr": cidr, "blockSize": int64(30), "nodeSelector": "all()"}
	if strings.Contains(cidr, ":") {
		spec["blockSize"] = int64(126)
	}
	for i := 0; i < len(more); i += 2 {
		spec[more[i].(string)] = more[i+1]
	}
	return object{"ippools", "IPPool", name, spec}
}

// put creates objects in the datastore until the end of the test.
func put(t *testing.T, objects ...object) {
	t.Helper()
	s := cluster(t)
	for _, o := range objects {
		rows := s.Dynamic().Resource(apiserver.CalicoResource(o.resource))
		_, err := rows.Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "crd.projectcalico.org/v1", "kind": o.kind, "metadata": map[string]any{"name": o.name}, "spec": o.spec,
		}}, metav1.CreateOptions{})
		must(t, err)
	}
	t.Cleanup(func() {
		for _, resource := range []string{
			"ippools", "ipamblocks", "blockaffinities", "ipamhandles", "ipamconfigs", "ipreservations", "clusterinformations",
		} {
			rows := s.Dynamic().Resource(apiserver.CalicoResource(resource))
			must(t, rows.DeleteCollection(context.Background(), metav1.DeleteOptions{}, metav1.ListOptions{}))
		}
	})
}

// with makes an ADD with objects in the datastore, after a number of other ADDs that succeed.
func with(objects []object, before int, changes ...any) func(t *testing.T) outcome {
	return func(t *testing.T) outcome {
		put(t, objects...)
		all := append([]any{"kubernetes.kubeconfig", cluster(t).Kubeconfig()}, changes...)
		for n := range before {
			succeed(t, n, all)
		}
		return configured(all...)(t)
	}
}

// succeed makes an ADD for another container, which must succeed.
func succeed(t *testing.T, n int, changes []any) {
	t.Helper()
	all := map[string]any{}
	for i := 0; i < len(changes); i += 2 {
		all[changes[i].(string)] = changes[i+1]
	}
	if got := (pluginCall{
		verb: "ADD", changes: all, env: map[string]string{"CNI_CONTAINERID": fmt.Sprintf("before%d", n)},
	}).call(t); got.exit != 0 {
		t.Fatalf("ADD %d: %s", n, got.stdout)
	}
}

// claimed returns the reason why node-2 cannot claim a block while node-1 has 10.66.0.0/30.
func claimed(cidr string) func(t *testing.T) outcome {
	return func(t *testing.T) outcome {
		a := &ipam.Allocator{Store: memstore.New(time.Now), Now: time.Now}
		if obstacle, err := a.Claim(t.Context(), "node-1", netip.MustParsePrefix("10.66.0.0/30"), 0); obstacle != nil ||
			err != nil {
			t.Fatal(obstacle, err)
		}
		obstacle, err := a.Claim(t.Context(), "node-2", netip.MustParsePrefix(cidr), 0)
		must(t, err)
		if obstacle == nil {
			t.Fatal("the block was claimed")
		}
		return of(obstacle)
	}
}

// conflicting claims a block while every update conflicts.
func conflicting(ctx context.Context, t *testing.T) outcome {
	t.Helper()
	store := memstore.New(time.Now)
	a := &ipam.Allocator{Store: store, Now: time.Now}
	if _, err := a.Claim(t.Context(), "node-1", netip.MustParsePrefix("10.66.0.0/30"), 0); err != nil {
		t.Fatal(err)
	}
	store.Fault = func(r memstore.Request) memstore.Outcome {
		if r.Verb == "update" {
			return memstore.Repeated // the second write conflicts with the first
		}
		return memstore.Pass
	}
	_, err := a.Claim(ctx, "node-1", netip.MustParsePrefix("10.66.0.0/30"), 0)
	return of(err)
}

func poolRows() []row {
	no := []error{ipam.ErrNoAddress}
	const other = "free addresses"
	config := func(changes ...any) object {
		spec := map[string]any{"strictAffinity": false, "autoAllocateBlocks": true}
		for i := 0; i < len(changes); i += 2 {
			spec[changes[i].(string)] = changes[i+1]
		}
		return object{"ipamconfigs", "IPAMConfig", "default", spec}
	}
	return []row{
		{
			cause:  "no pool",
			by:     with(nil, 0),
			code:   11,
			says:   "there is no IPv4 pool",
			remedy: "create an IPPool",
			not:    other,
			kinds:  no,
		},
		{
			cause:  "pool full",
			by:     with([]object{ippool("p", "10.66.0.0/30")}, 4),
			code:   11,
			says:   "p: ",
			remedy: "free addresses, or add an IPPool",
			kinds:  no,
		},
		{
			cause:  "pool disabled",
			by:     with([]object{ippool("p", "10.66.0.0/30", "disabled", true)}, 0),
			code:   11,
			says:   "p: disabled",
			remedy: "set disabled to false",
			not:    other,
			kinds:  no,
		},
		{
			cause:  "pool manual",
			by:     with([]object{ippool("p", "10.66.0.0/30", "assignmentMode", "Manual")}, 0),
			code:   11,
			says:   "serves only requests that name it",
			remedy: "set its assignmentMode to Automatic",
			not:    other,
			kinds:  no,
		},
		{
			cause:  "pool for tunnels",
			by:     with([]object{ippool("p", "10.66.0.0/30", "allowedUses", []any{"Tunnel"})}, 0),
			code:   11,
			says:   "is for Tunnel, not for Workload",
			remedy: "add Workload to its allowedUses",
			not:    other,
			kinds:  no,
		},
		{
			cause:  "pool of other nodes",
			by:     with([]object{ippool("p", "10.66.0.0/30", "nodeSelector", "rack == '7'")}, 0),
			code:   11,
			says:   "nodeSelector rack ==",
			remedy: "change the nodeSelector or the labels",
			not:    other,
			kinds:  no,
		},
		{
			cause:  "pool of other namespaces",
			by:     with([]object{ippool("p", "10.66.0.0/30", "namespaceSelector", "team == 'a'")}, 0),
			code:   11,
			says:   "namespaceSelector team ==",
			remedy: "change the namespaceSelector or the labels",
			not:    other,
			kinds:  no,
		},
		{
			cause: "no new blocks",
			by:    with([]object{ippool("p", "10.66.0.0/30"), config("strictAffinity", true, "autoAllocateBlocks", false)}, 0),
			code:  11, says: "autoAllocateBlocks", remedy: "set it to true", not: other, kinds: no,
		},
		{
			cause: "limit of blocks",
			by:    with([]object{ippool("p", "10.66.0.0/29"), config("strictAffinity", true, "maxBlocksPerHost", int64(1))}, 4),
			code:  11, says: "maxBlocksPerHost", remedy: "raise it", not: other, kinds: no,
		},
		{
			cause: "addresses reserved",
			by: with(
				[]object{
					ippool("p", "10.66.0.0/30"),
					{"ipreservations", "IPReservation", "r", map[string]any{"reservedCIDRs": []any{"10.66.0.0/30"}}},
				}, 0,
			),
			code: 11, says: "reserved", remedy: "shrink an IPReservation", kinds: no,
		},
		{
			cause:  "unknown pool",
			by:     with([]object{ippool("p", "10.66.0.0/30")}, 0, "ipam.ipv4_pools", []string{"q"}),
			code:   102,
			says:   "the given pool (q) does not exist, or is not enabled",
			remedy: "create the pool",
			kinds:  []error{pool.ErrUnknownPool},
		},
		{
			cause:  "requested pool is disabled",
			by:     with([]object{ippool("p", "10.66.0.0/30", "disabled", true)}, 0, "ipam.ipv4_pools", []string{"p"}),
			code:   102,
			says:   "it is disabled",
			remedy: "set disabled to false",
			kinds:  []error{pool.ErrUnknownPool},
		},
		{
			cause:  "pool broken",
			by:     with([]object{ippool("p", "10.66.0.0/30", "nodeSelector", "rack ==")}, 0, "ipam.ipv4_pools", []string{"p"}),
			code:   102,
			says:   "nodeSelector",
			remedy: "correct the IPPool",
			kinds:  []error{pool.ErrUnknownPool},
		},
		{
			cause: "requested address outside",
			by:    with([]object{ippool("p", "10.66.0.0/30")}, 0, "runtimeConfig", map[string]any{"ips": []string{"10.67.0.1"}}),
			code:  102, says: "10.67.0.1 lies in no pool", remedy: "choose one of a pool's addresses",
			kinds: []error{pool.ErrUnknownPool},
		},
		{
			cause: "requested address taken", by: func(t *testing.T) outcome {
				conf := []any{
					"kubernetes.kubeconfig",
					cluster(t).Kubeconfig(),
					"runtimeConfig",
					map[string]any{"ips": []string{"10.66.0.1"}},
				}
				put(t, ippool("p", "10.66.0.0/30"))
				succeed(t, 0, conf)
				return configured(conf...)(t)
			}, code: 102, says: "10.66.0.1", remedy: "choose another address, or release it", kinds: []error{ipam.ErrAddrTaken},
		},
		{
			cause: "requested address in its cooldown", by: func(t *testing.T) outcome {
				kubeconfig := cluster(t).Kubeconfig()
				conf := []any{
					"kubernetes.kubeconfig", kubeconfig, "runtimeConfig", map[string]any{"ips": []string{"10.66.0.1"}},
				}
				put(t, ippool("p", "10.66.0.0/30"), config("ipCooldownSeconds", int64(600)))
				succeed(t, 0, conf)
				if a := (pluginCall{
					verb: "DEL", changes: map[string]any{"kubernetes.kubeconfig": kubeconfig},
					env: map[string]string{"CNI_CONTAINERID": "before0"},
				}).call(t); a.exit != 0 {
					t.Fatalf("DEL: %s", a.stdout)
				}
				return configured(conf...)(t)
			}, code: 11, says: "requested address is in its cooldown: 10.66.0.1 was released at", remedy: "seconds, or choose " +
				"another address", not: "release it", kinds: []error{ipam.ErrAddrCooling},
		},
		{
			cause: "requested address of another node", by: func(t *testing.T) outcome {
				kubeconfig := []any{"kubernetes.kubeconfig", cluster(t).Kubeconfig()}
				put(t, ippool("p", "10.66.0.0/30"), config("strictAffinity", true))
				succeed(t, 0, append(kubeconfig, "nodename", "node-2"))
				return configured(append(kubeconfig, "runtimeConfig", map[string]any{"ips": []string{"10.66.0.3"}})...)(t)
			}, code: 102, says: "lies in block 10.66.0.0/30 of host:node-2, and IPAMConfig.strictAffinity forbids borrowing",
			remedy: "request an address of the node, or set it to false", not: "taken", kinds: []error{ipam.ErrBorrowForbidden},
		},
		{
			cause: "wrong name of the node",
			by: with([]object{ippool("p", "10.66.0.0/30", "nodeSelector", "rack == '7'")}, 0,
				"nodename", "node-9"),
			code: 11, says: "there is no node node-9", remedy: "correct nodename in the configuration, or in the nodename file",
			not: "get node", kinds: []error{ipam.ErrNotFound},
		},
		{
			cause: "datastore locked",
			by: with(
				[]object{
					ippool("p", "10.66.0.0/30"),
					{"clusterinformations", "ClusterInformation", "default", map[string]any{"datastoreReady": false}},
				}, 0,
			),
			code: 11, says: "datastoreReady false", remedy: "wait", kinds: []error{ipam.ErrNotReady},
		},
		{
			cause: "conflicts until the deadline", by: func(t *testing.T) outcome {
				ctx, cancel := deadline.Within(t.Context(), -time.Second, "the allocation of the addresses")
				defer cancel()
				return conflicting(ctx, t)
			}, code: 11, says: "claim block 10.66.0.0/30: the allocation of the addresses took longer than", remedy: "try again",
		},
		{
			cause: "conflicts without end", by: func(t *testing.T) outcome { return conflicting(t.Context(), t) }, code: 11,
			says: "gave up after 100 attempts", remedy: "try again", kinds: []error{ipam.ErrContended},
		},
		{
			cause: "block of another node", by: claimed("10.66.0.0/30"), code: 100,
			says: "block 10.66.0.0/30 belongs to host:node-1", remedy: "release its blocks", not: "overlaps",
		},
		{
			cause: "block that overlaps another", by: claimed("10.66.0.0/29"), code: 100,
			says:   "block 10.66.0.0/29 is not used, as it overlaps block 10.66.0.0/30 of host:node-1",
			remedy: "delete the IPAMBlock and the BlockAffinity", not: "delete the pods",
		},
		{
			cause: "block that overlaps a malformed one", by: with([]object{
				ippool("p", "10.66.0.0/28"), {"ipamblocks", "IPAMBlock", "10-66-0-0-16", map[string]any{
					"cidr": "10.66.0.0/16", "affinity": "host:node-1", "strictAffinity": false, "deleted": false,
					"allocations": []any{nil}, "unallocated": []any{int64(0)}, "attributes": []any{},
				}},
			}, 0), code: 11, says: "in use: 4 overlapped by blocks of another size",
			remedy: "IPAMBlock 10-66-0-0-16: malformed IPAM block 10.66.0.0/16: larger than 4096 addresses; repair or delete " +
				"the object", not: "delete the pods", kinds: no,
		},
		{
			cause: "block malformed", by: with([]object{
				ippool("p", "10.66.0.0/30"),
				{"ipamblocks", "IPAMBlock", "10-66-0-0-30", map[string]any{
					"cidr": "10.66.0.0/30", "affinity": "host:node-1", "strictAffinity": false, "deleted": false,
					"allocations": []any{nil, int64(7), nil, nil}, "unallocated": []any{int64(0)}, "attributes": []any{},
				}},
				{
					"blockaffinities",
					"BlockAffinity",
					"node-1-10-66-0-0-30",
					map[string]any{"cidr": "10.66.0.0/30", "node": "node-1", "state": "confirmed", "deleted": "false"},
				},
			}, 0), code: 101, says: "10.66.0.0/30", remedy: "repair or delete the object", kinds: []error{ipam.ErrMalformed},
		},
		{
			cause: "block with a bad CIDR", by: with([]object{
				ippool("p", "10.66.0.0/30"),
				{"ipamblocks", "IPAMBlock", "10-66-0-0-30", map[string]any{
					"cidr": "garbage", "affinity": "host:node-1", "strictAffinity": false, "deleted": false,
					"allocations": []any{}, "unallocated": []any{}, "attributes": []any{},
				}},
			}, 0), code: 11,
			says:   `1 malformed (repair the malformed blocks, or add an IPPool); block 10.66.0.0/30 cannot be read`,
			remedy: `IPAMBlock 10-66-0-0-30: cidr "garbage": want an address and a prefix length, such as 10.0.0.0/26`,
			kinds:  no,
		},
		{
			cause: "handle with another ID", by: with([]object{
				ippool(
					"p",
					"10.66.0.0/30",
				), {
					"ipamhandles", "IPAMHandle", "net.ctestmessagesnamecauseandremedyhandlewithanotherid",
					map[string]any{"handleID": "other", "block": map[string]any{}, "deleted": false},
				},
			}, 0), code: 101, says: `has handleID "other"`, remedy: "correct its handleID, or delete the object",
			not:   "same name",
			kinds: []error{ipam.ErrMalformed},
		},
		{
			cause: "address not held", by: func(t *testing.T) outcome {
				put(t, ippool("p", "10.66.0.0/30"))
				return pluginCall{verb: "CHECK", changes: map[string]any{
					"kubernetes.kubeconfig": cluster(t).Kubeconfig(),
					"prevResult": map[string]any{
						"cniVersion": "1.1.0",
						"ips":        []any{map[string]any{"address": "10.66.0.1/32"}},
					},
				}}.run(t)
			}, code: 103, says: "10.66.0.1", remedy: "delete the pod", kinds: []error{nodeipam.ErrNotHeld},
		},
	}
}
