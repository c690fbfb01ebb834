// SPDX-License-Identifier: Apache-2.0

package v1_test

import (
	"encoding/json"
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "calico-cni/pkg/apis/crd/v1"
	"calico-cni/pkg/apis/crd/v1/spec"
)

// fullBlock returns a /26 with 64 allocated addresses, the largest block that an ordinary ADD decodes.
func fullBlock() *v1.IPAMBlock {
	b := &v1.IPAMBlock{ObjectMeta: metav1.ObjectMeta{Name: "10-0-0-64-26"}}
	b.Spec.CIDR, b.Spec.Affinity = "10.0.0.64/26", new("host:node-a")
	b.Spec.SequenceNumberForAllocation = map[string]int64{}
	for i := range 64 {
		b.Spec.Allocations = append(b.Spec.Allocations, &i)
		b.Spec.SequenceNumberForAllocation[fmt.Sprint(i)] = 1762000000000000000 + int64(i)
		b.Spec.Attributes = append(b.Spec.Attributes, spec.AllocationAttribute{
			HandleID: new(fmt.Sprintf("k8s-pod-network.%064x", i)),
			Secondary: map[string]string{
				"pod": fmt.Sprintf("web-%d", i), "namespace": "default", "node": "node-a",
				"timestamp": "2026-11-21 11:00:00.000000000 +0000 UTC",
			},
		})
	}
	return b
}

func BenchmarkDecodeFullBlock(b *testing.B) {
	data, err := json.Marshal(fullBlock())
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if err := json.Unmarshal(data, new(v1.IPAMBlock)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeFullBlock(b *testing.B) {
	block := fullBlock()
	for b.Loop() {
		if _, err := json.Marshal(block); err != nil {
			b.Fatal(err)
		}
	}
}
