package crdstore

import (
	"fmt"
	"testing"
	"time"

	"calico-cni/pkg/apis/crd/v1/spec"
	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/kube"
)

// BenchmarkOneMoreAddress is what an ADD does to a block of 64 addresses between its two requests: 63 are taken.
func BenchmarkOneMoreAddress(b *testing.B) {
	full := block.New(prefix("10.0.0.64/26"), "host:node-a", time.Unix(1762000000, 0))
	for i := range 63 {
		full.Assign(attribute(i), nil)
	}
	o := new(kube.Object[spec.IPAMBlock])
	(blockCodec{}).fill(o, full.CIDR, full, false)
	data, err := o.MarshalJSON()
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		read := new(kube.Object[spec.IPAMBlock])
		if err := read.UnmarshalJSON(data); err != nil {
			b.Fatal(err)
		}
		value, _, err := (blockCodec{}).decode(read)
		if err != nil {
			b.Fatal(err)
		}
		value.Assign(attribute(63), nil)
		next := *read
		(blockCodec{}).fill(&next, value.CIDR, value, false)
		if _, err := next.MarshalJSON(); err != nil {
			b.Fatal(err)
		}
	}
}

func attribute(i int) block.Attribute {
	return block.Attribute{Handle: fmt.Sprintf("k8s-pod-network.%064x", i), Owner: map[string]string{
		"pod": fmt.Sprintf("web-%d", i), "namespace": "default", "node": "node-a", "timestamp": "2026-11-21 11:00:00.000000000 +0000 UTC",
	}}
}
