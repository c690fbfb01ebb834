// SPDX-License-Identifier: Apache-2.0

package model

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"calico-cni/pkg/apis/crd/v1/spec"
)

func (b Block) describe() string {
	parts := []string{b.CIDR.String(), b.Node}
	for _, a := range b.Borrowed {
		parts = append(parts, a.Addr.String()+"="+a.Node)
	}
	return strings.Join(parts, " ")
}

func TestConvertBlock(t *testing.T) {
	const attributes = `"attributes":[{"secondary":{"node":"a"}},{"secondary":{"node":"b","pod":"p"}},{"handle_id":"h"},
		{"secondary":null,"releasedAt":"2026-01-01T00:00:00Z"}]`
	for _, test := range []struct {
		name, object, json, want string
		// finding is a part of the finding. It is empty if there is none.
		finding string
	}{
		{
			"own addresses are not kept", "10-0-0-0-30",
			`{"cidr":"10.0.0.0/30","affinity":"host:a","allocations":[0,null,0,null],` + attributes + `}`, "10.0.0.0/30 a", "",
		},
		{
			"borrowed addresses", "10-0-0-0-30",
			`{"cidr":"10.0.0.0/30","affinity":"host:a","allocations":[1,0,2,1],` + attributes + `}`,
			"10.0.0.0/30 a 10.0.0.0=b 10.0.0.3=b", "",
		},
		{
			"cooling addresses", "10-0-0-0-30",
			`{"cidr":"10.0.0.0/30","affinity":"host:a","allocations":[3,3,3,3],` + attributes + `}`, "10.0.0.0/30 a", "",
		},
		{
			"no affinity: every address is borrowed", "10-0-0-0-30",
			`{"cidr":"10.0.0.0/30","affinity":null,"allocations":[0,1,null,null],` + attributes + `}`,
			"10.0.0.0/30  10.0.0.0=a 10.0.0.1=b", "",
		},
		{
			"IPv6", "fd00---126",
			`{"cidr":"fd00::/126","affinity":"host:b","allocations":[0,1,null,0],` + attributes + `}`,
			"fd00::/126 b fd00::=a fd00::3=a", "",
		},
		{
			"affinity of old writers", "10-0-0-0-30",
			`{"cidr":"10.0.0.0/30","hostAffinity":"b","allocations":[0,1,null,null],` + attributes + `}`,
			"10.0.0.0/30 b 10.0.0.0=a", "",
		},
		{
			"addresses of load balancers", "10-0-0-0-30",
			`{"cidr":"10.0.0.0/30","affinity":"virtual:load-balancer","allocations":[2,2,null,null],` + attributes + `}`,
			"10.0.0.0/30 ", "",
		},
		{
			"unknown fields", "10-0-0-0-30",
			`{"cidr":"10.0.0.0/30","affinity":"host:a","new":{"x":1},"allocations":[0],"attributes":[{"new":[1],"secondary":{"node":"b"}}]}`,
			"10.0.0.0/30 a 10.0.0.0=b", "",
		},
		{"deleted", "10-0-0-0-30", `{"cidr":"10.0.0.0/30","affinity":"host:a","deleted":true}`, "", ""},
		{
			"an index without attribute", "10-0-0-0-30",
			`{"cidr":"10.0.0.0/30","affinity":"host:a","allocations":[1,9,4,null],` + attributes + `}`,
			"10.0.0.0/30 a 10.0.0.0=b", "spec.allocations: 2 entries",
		},
		{
			"more addresses than the block has", "10-0-0-0-31",
			`{"cidr":"10.0.0.0/31","affinity":"host:a","allocations":[1,1,1,1,null],` + attributes + `}`,
			"10.0.0.0/31 a 10.0.0.0=b 10.0.0.1=b", "spec.allocations: 2 entries",
		},
		{"no CIDR", "x", `{"cidr":"10.0.0.0"}`, "", `"10.0.0.0" is not an address with a prefix length`},
		{"a mapped CIDR", "x", `{"cidr":"::ffff:10.0.0.0/126"}`, "", "is not an address with a prefix length"},
		{"the name of another block", "10-0-0-4-30", `{"cidr":"10.0.0.0/30"}`, "", "belongs in an object named 10-0-0-0-30"},
		{"too large", "10-0-0-0-19", `{"cidr":"10.0.0.0/19"}`, "", "more than 4096 addresses"},
	} {
		var in BlockFields
		if err := json.Unmarshal([]byte(test.json), &in); err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		b, ok, findings := ConvertBlock(test.object, &in)
		got := ""
		if ok {
			got = b.describe()
		}
		if got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
		if text := fmt.Sprint(findings); len(findings) > 1 || (len(findings) == 0) != (test.finding == "") ||
			!strings.Contains(text, test.finding) {
			t.Errorf("%s: findings %s, want %s", test.name, text, test.finding)
		}
		if ok && b.Name() != test.object {
			t.Errorf("%s: the name is %s, want %s", test.name, b.Name(), test.object)
		}
	}
}

func TestDecodeAllocations(t *testing.T) {
	for text, want := range map[string]string{
		`null`: "[]", `[]`: "[]", `[ ]`: "[]", `[null]`: "[-1]", `[0, 1,null ,2]`: "[0 1 -1 2]",
		`{}`: "error", `["a"]`: "error", `[1.5]`: "error", `[[1]]`: "error", `[true]`: "error", `3`: "error",
	} {
		var a Allocations
		got := "error"
		if json.Unmarshal([]byte(text), &a) == nil {
			got = fmt.Sprint([]int(a))
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

// The fields that are decoded give the same block as the whole object does.
func TestConvertBlockReadsWholeObjects(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes := rapid.SampledFrom([]string{"", "a", "b", "c"})
		in := spec.IPAMBlock{CIDR: "10.0.0.0/28"}
		owner := nodes.Draw(t, "owner")
		if owner != "" {
			in.Affinity = new("host:" + owner)
		}
		for range rapid.IntRange(0, 4).Draw(t, "attributes") {
			in.Attributes = append(in.Attributes, spec.AllocationAttribute{
				HandleID: new("h"), Secondary: map[string]string{"node": nodes.Draw(t, "node"), "pod": "p"},
			})
		}
		want := Block{CIDR: netip.MustParsePrefix(in.CIDR), Node: owner}
		for i := range 16 {
			index := rapid.IntRange(-1, len(in.Attributes)-1).Draw(t, "index")
			if index < 0 {
				in.Allocations = append(in.Allocations, nil)
				continue
			}
			in.Allocations = append(in.Allocations, &index)
			if user := in.Attributes[index].Secondary["node"]; user != "" && user != owner {
				want.Borrowed = append(want.Borrowed, Borrowed{netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), user})
			}
		}
		data, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		var fields BlockFields
		if err := json.Unmarshal(data, &fields); err != nil {
			t.Fatal(err)
		}
		got, ok, findings := ConvertBlock("10-0-0-0-28", &fields)
		if !ok || len(findings) > 0 || !got.Equal(want) {
			t.Fatalf("got %s, %v, %v; want %s", got.describe(), ok, findings, want.describe())
		}
	})
}

// Equal compares everything.
func TestBlockEqual(t *testing.T) {
	block := func() Block {
		return Block{
			CIDR: netip.MustParsePrefix("10.0.0.0/30"), Node: "a",
			Borrowed: []Borrowed{{netip.MustParseAddr("10.0.0.1"), "b"}},
		}
	}
	if !block().Equal(block()) {
		t.Error("equal blocks differ")
	}
	for i, change := range []func(*Block){
		func(b *Block) { b.CIDR = netip.MustParsePrefix("10.0.0.4/30") },
		func(b *Block) { b.Node = "b" },
		func(b *Block) { b.Borrowed = nil },
		func(b *Block) { b.Borrowed[0].Node = "c" },
	} {
		other := block()
		change(&other)
		if block().Equal(other) {
			t.Errorf("change %d goes unnoticed", i)
		}
	}
}

// No object makes decoding or conversion panic, and what is accepted is inside of the block.
func FuzzConvertBlock(f *testing.F) {
	f.Add("10-0-0-0-30", []byte(`{"cidr":"10.0.0.0/30","affinity":"host:a","allocations":[0,null,7,1],"attributes":[{}]}`))
	f.Add("fd00---128", []byte(`{"cidr":"fd00::/128","allocations":[0],"attributes":[{"secondary":{"node":"b"}}]}`))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		var in BlockFields
		if json.Unmarshal(data, &in) != nil {
			return
		}
		b, ok, findings := ConvertBlock(name, &in)
		if !ok && len(findings) == 0 && !in.Deleted {
			t.Error("rejected without a finding")
		}
		for _, a := range b.Borrowed {
			if !b.CIDR.Contains(a.Addr) || a.Node == "" || a.Node == b.Node {
				t.Errorf("%s has %v", b.CIDR, a)
			}
		}
	})
}

// blockJSON is a block with 30 of 64 addresses in use.
func blockJSON() []byte {
	in := spec.IPAMBlock{CIDR: "10.0.0.0/26", Affinity: new("host:a"), SequenceNumberForAllocation: map[string]int64{}}
	for i := range 64 {
		if i >= 30 {
			in.Allocations, in.Unallocated = append(in.Allocations, nil), append(in.Unallocated, i)
			continue
		}
		in.Allocations = append(in.Allocations, &i)
		in.SequenceNumberForAllocation[fmt.Sprint(i)] = 1762000000000000000
		in.Attributes = append(in.Attributes, spec.AllocationAttribute{
			HandleID: new(fmt.Sprintf("k8s-pod-network.%064x", i)),
			Secondary: map[string]string{
				"pod": fmt.Sprint("web-", i), "namespace": "default", "node": "a",
				"timestamp": "2026-11-21 11:00:00.000000000 +0000 UTC",
			},
		})
	}
	data, err := json.Marshal(in)
	if err != nil {
		panic(err)
	}
	return data
}

func BenchmarkDecodeBlock(b *testing.B) {
	data := blockJSON()
	b.Run("fields", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var in BlockFields
			if err := json.Unmarshal(data, &in); err != nil {
				b.Fatal(err)
			}
			if _, ok, _ := ConvertBlock("10-0-0-0-26", &in); !ok {
				b.Fatal("not converted")
			}
		}
	})
	b.Run("whole", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var in spec.IPAMBlock
			if err := json.Unmarshal(data, &in); err != nil {
				b.Fatal(err)
			}
		}
	})
}
