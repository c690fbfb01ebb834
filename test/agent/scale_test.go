// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"golang.org/x/sync/errgroup"

	"calico-cni/test/apiserver"
)

// scale is the number of nodes of TestScale. Each has a block with podsPerNode pods.
var scale = flag.Int("scale", 0, "number of nodes to simulate in TestScale; 0 skips it")

// podsPerNode is the number of pods of a simulated node.
const podsPerNode = 30

// TestScale measures what an agent costs in a large cluster: time, CPU and memory of a start, and of a restart with
// nothing changed. It has no bounds, because the machine may be busy.
func TestScale(t *testing.T) {
	if *scale == 0 {
		t.Skip("set -scale to a number of nodes")
	}
	makePools(t, modes{vxlan: "Always"})
	err := f.Datastore.CreatePool(t.Context(), "simulated", "10.128.0.0/12", 26, func(spec map[string]any) {
		spec["vxlanMode"] = "Always"
	})
	if err != nil {
		t.Fatal(err)
	}
	settled(t)
	started := time.Now()
	createNodes(t, *scale)
	t.Logf("created %d nodes with %d pods in %.1f s", *scale, *scale*podsPerNode, time.Since(started).Seconds())
	eventually(t, func() error {
		n := strings.Count(must(t, f.Nodes[0], "ip", "route", "show", "dev", "vxlan.calico"), "\n")
		if n < *scale {
			return fmt.Errorf("%d routes of %d", n, *scale)
		}
		return nil
	})
	t.Logf("cluster grew while the agent ran: %s", cost(t))
	for _, what := range []string{"restart", "second restart"} {
		before := time.Now()
		restart(t, 0)
		t.Logf("%s: ready after %.2f s; %s", what, time.Since(before).Seconds(), cost(t))
	}
	before := cost(t)
	time.Sleep(20 * time.Second)
	t.Logf("20 s without changes: %s, before: %s", cost(t), before)
	lines, err := metric(t.Context(), 0, "calico_node_writes_total")
	if err != nil {
		t.Fatal(err)
	}
	t.Log(strings.Join(lines, "\n"))
}

// cost returns CPU time and memory of the agent of the first node.
func cost(t *testing.T) string {
	t.Helper()
	out := must(t, f.Nodes[0], "sh", "-c", "p=$(cat /run/machine/calico-node.pid); cat /proc/$p/stat; grep -E 'VmHWM|VmRSS' /proc/$p/status")
	stat, memory, _ := strings.Cut(out, "\n")
	fields := strings.Fields(stat[strings.LastIndex(stat, ")")+1:])
	var user, system int
	_, _ = fmt.Sscan(fields[11], &user)
	_, _ = fmt.Sscan(fields[12], &system)
	return fmt.Sprintf("CPU %d ms, %s", 10*(user+system), strings.Join(strings.Fields(memory), " "))
}

// createNodes creates nodes with tunnel addresses and blocks.
func createNodes(t *testing.T, n int) {
	t.Helper()
	var group errgroup.Group
	group.SetLimit(16)
	client := f.Server.Client().CoreV1().Nodes()
	blocks := f.Server.Dynamic().Resource(apiserver.ResourceIn(f.Datastore.Group, "ipamblocks"))
	for i := range n {
		group.Go(func() error {
			name := fmt.Sprintf("sim-%d", i)
			block := simBlock(i)
			node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{
				"projectcalico.org/IPv4Address":         fmt.Sprintf("172.20.%d.%d/16", i/250, 1+i%250),
				"projectcalico.org/IPv4VXLANTunnelAddr": block.Addr().String(),
			}}}
			if _, err := client.Create(t.Context(), node, metav1.CreateOptions{}); err != nil {
				return err
			}
			return createBlock(t.Context(), blocks, name, block)
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

// simBlock returns the block of the i-th simulated node.
func simBlock(i int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 128 + byte(i/1024), byte(i / 4 % 256), byte(i % 4 * 64)}), 26)
}

func createBlock(ctx context.Context, blocks dynamic.ResourceInterface, node string, cidr netip.Prefix) error {
	var allocations, attributes, free []any
	for i := range 64 {
		if i >= podsPerNode {
			allocations, free = append(allocations, nil), append(free, int64(i))
			continue
		}
		allocations = append(allocations, int64(i))
		attributes = append(attributes, map[string]any{
			"handle_id": fmt.Sprintf("k8s-pod-network.%064x", i),
			"secondary": map[string]any{
				"node": node, "namespace": "default", "pod": fmt.Sprintf("web-%s-%d", node, i), "timestamp": time.Now().String(),
			},
		})
	}
	_, err := blocks.Create(ctx, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": f.Datastore.Group, "kind": "IPAMBlock",
		"metadata": map[string]any{"name": strings.NewReplacer(".", "-", "/", "-").Replace(cidr.String())},
		"spec": map[string]any{
			"cidr": cidr.String(), "affinity": "host:" + node, "strictAffinity": false, "deleted": false,
			"allocations": allocations, "unallocated": free, "attributes": attributes, "sequenceNumber": int64(1),
		},
	}}, metav1.CreateOptions{})
	return err
}
