// SPDX-License-Identifier: Apache-2.0

package crdstore

import (
	"fmt"
	"testing"
	"time"

	"calico-cni/pkg/apis/crd/v1/spec"
	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/kubeapi"
)

// BenchmarkAssignInObject is the work of an ADD between the read and the write of a block: it allocates the last of 64
// addresses.
func BenchmarkAssignInObject(b *testing.B) {
	data := almostFull(b)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		assignInObject(b, data)
	}
}

// TestAssignInObjectTakesFewAllocations bounds the memory allocations of BenchmarkAssignInObject.
func TestAssignInObjectTakesFewAllocations(t *testing.T) {
	data := almostFull(t)
	const most = 2700
	if got := testing.AllocsPerRun(20, func() { assignInObject(t, data) }); got > most || got < most/2 {
		t.Errorf("%v allocations, want at most %d, and not less than half of that", got, most)
	}
}

func almostFull(tb testing.TB) []byte {
	tb.Helper()
	full := block.New(prefix("10.0.0.64/26"), "host:node-a", time.Unix(1762000000, 0))
	for i := range 63 {
		full.Assign(attribute(i), nil)
	}
	o := new(kubeapi.Object[spec.IPAMBlock])
	(blockCodec{}).fill(o, full.CIDR, full, false)
	data, err := o.MarshalJSON()
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func assignInObject(tb testing.TB, data []byte) {
	tb.Helper()
	read := new(kubeapi.Object[spec.IPAMBlock])
	if err := read.UnmarshalJSON(data); err != nil {
		tb.Fatal(err)
	}
	value, _, err := (blockCodec{}).decode(read)
	if err != nil {
		tb.Fatal(err)
	}
	value.Assign(attribute(63), nil)
	next := *read
	(blockCodec{}).fill(&next, value.CIDR, value, false)
	if _, err := next.MarshalJSON(); err != nil {
		tb.Fatal(err)
	}
}

func attribute(i int) block.Attribute {
	return block.Attribute{Handle: fmt.Sprintf("k8s-pod-network.%064x", i), Owner: map[string]string{
		"pod": fmt.Sprintf("web-%d", i), "namespace": "default", "node": "node-a",
		"timestamp": "2026-11-21 11:00:00.000000000 +0000 UTC",
	}}
}
