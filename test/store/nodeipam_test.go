// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"calico-cni/pkg/ipam/crdstore"
	"calico-cni/pkg/nodeipam"
	"calico-cni/pkg/workload"
	"calico-cni/test/apiserver"
)

// TestDaemonAllocatesWithClientGo allocates and releases an address as a daemon would: with node IPAM on the transport
// of client-go.
func TestDaemonAllocatesWithClientGo(t *testing.T) {
	server, _ := cluster(t)
	const pool = "daemon"
	_, err := server.Dynamic().Resource(apiserver.CalicoResource("ippools")).Create(t.Context(),
		&unstructured.Unstructured{Object: map[string]any{
			"apiVersion": string(crdstore.V1), "kind": "IPPool", "metadata": map[string]any{"name": pool},
			"spec": map[string]any{"cidr": "10.73.0.0/24", "blockSize": int64(26)},
		}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	node := &nodeipam.Node{
		Disk: nodeipam.Disk{
			State: filepath.Join(dir, "state"), Keep: filepath.Join(dir, "keep"), Now: time.Now,
			Boot: func() time.Duration { return time.Hour },
		},
		Network: "net", LockFile: filepath.Join(dir, "lock"), Group: crdstore.V1,
		IPv4:    nodeipam.Family{Wanted: true, Pools: []string{pool}},
		Name:    func() (string, error) { return "daemon-node", nil },
		Connect: func() (nodeipam.Connection, error) { return clientGo(t, server.Kubeconfig()), nil },
		Log:     slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	request := node.UsualRequest("daemon-node")
	request.ID = workload.ID{ContainerID: "daemon-container", IfName: "eth0"}
	allocations := node.Allocations()
	view, err := allocations.Gather(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	grant, err := allocations.Assign(t.Context(), view, request)
	if err != nil || len(grant.Addrs()) != 1 {
		t.Fatalf("allocated %v, %v", grant.Addrs(), err)
	}
	for _, want := range []int{1, 0} {
		held, err := node.HoldingsOf(t.Context(), request.ID)
		if err != nil {
			t.Fatal(err)
		}
		freed, err := allocations.Release(t.Context(), held, nodeipam.Evidence{})
		if err != nil || len(freed.Addrs) != want {
			t.Errorf("released %v, %v, want %d addresses", freed.Addrs, err, want)
		}
	}
	if err := node.Health().Check(t.Context()); errors.Is(err, nodeipam.ErrCannotAdd) {
		t.Errorf("after a release: %v", err)
	}
}
