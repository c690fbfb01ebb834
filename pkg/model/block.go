// SPDX-License-Identifier: Apache-2.0

package model

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"calico-cni/pkg/apis/crd/v1/spec"
	"calico-cni/pkg/ipam/block"
)

// BlockFields are the fields of an IPAMBlock that the conversion reads, for decoding from JSON. A node decodes every
// block of the cluster, and decoding only these fields takes less than a third of the time of the whole object.
type BlockFields struct {
	CIDR         string       `json:"cidr"`
	Affinity     *string      `json:"affinity"`
	HostAffinity *string      `json:"hostAffinity"`
	Allocations  Allocations  `json:"allocations"`
	Attributes   []Attributes `json:"attributes"`
	Deleted      bool         `json:"deleted"`
}

// Attributes are the attributes of an address that the conversion reads.
type Attributes struct {
	Secondary struct {
		Node string `json:"node"`
	} `json:"secondary"`
}

// Allocations has one entry for each address of a block: an index into the attributes, or a negative number if the
// address is free.
type Allocations []int

// UnmarshalJSON decodes an array of numbers and nulls.
func (a *Allocations) UnmarshalJSON(data []byte) error {
	*a = nil
	inner, isArray := bytes.CutPrefix(data, []byte("["))
	inner, closed := bytes.CutSuffix(inner, []byte("]"))
	if !isArray || !closed {
		if string(data) == "null" {
			return nil
		}
		return fmt.Errorf("allocations: want an array")
	}
	if len(bytes.TrimSpace(inner)) == 0 {
		return nil
	}
	list := make(Allocations, 0, 1+bytes.Count(inner, []byte(",")))
	for entry := range bytes.SplitSeq(inner, []byte(",")) {
		entry = bytes.TrimSpace(entry)
		if string(entry) == "null" {
			list = append(list, block.Free)
			continue
		}
		n, err := strconv.Atoi(string(entry))
		if err != nil {
			return fmt.Errorf("allocations: want numbers and nulls")
		}
		list = append(list, n)
	}
	*a = list
	return nil
}

// Block is an IPAMBlock, without the addresses that its own node uses.
type Block struct {
	// CIDR is masked.
	CIDR netip.Prefix
	// Node is the node that has the affinity. It is empty if no node has it.
	Node string
	// Borrowed are the addresses that other nodes use, in the order of the addresses.
	Borrowed []Borrowed
}

// Borrowed is an address that a node uses from a block without having its affinity.
type Borrowed struct {
	Addr netip.Addr
	Node string
}

// Equal reports whether two blocks are equal.
func (b Block) Equal(o Block) bool {
	return b.CIDR == o.CIDR && b.Node == o.Node && slices.Equal(b.Borrowed, o.Borrowed)
}

// Name returns the name of the object.
func (b Block) Name() string { return spec.BlockName(b.CIDR) }

// ConvertBlock converts an IPAMBlock of either API group. It returns false if the block is deleted, or if it is not
// valid. Routes come from the affinity in the block and not from BlockAffinity objects.
func ConvertBlock(name string, in *BlockFields) (Block, bool, []Finding) {
	if in.Deleted {
		return Block{}, false, nil
	}
	reject := func(problem, remedy string) (Block, bool, []Finding) {
		return Block{}, false, []Finding{{
			Kind: KindBlock, Name: name, Field: "spec.cidr", Problem: "the block is ignored: " + problem, Remedy: remedy,
		}}
	}
	cidr, err := netip.ParsePrefix(in.CIDR)
	if err != nil || cidr.Addr().Is4In6() {
		return reject(fmt.Sprintf("%q is not an address with a prefix length", in.CIDR), "repair or delete the object")
	}
	cidr = cidr.Masked()
	if want := spec.BlockName(cidr); name != want {
		return reject(fmt.Sprintf("%s belongs in an object named %s", cidr, want), "repair or delete the object")
	}
	if cidr.Addr().BitLen()-cidr.Bits() > block.MaxBits {
		return reject(fmt.Sprintf("%s has more than %d addresses", cidr, 1<<block.MaxBits), "repair or delete the object")
	}
	b := Block{CIDR: cidr}
	if node, ok := strings.CutPrefix(spec.OwnerOfBlock(in.Affinity, in.HostAffinity), spec.AffinityHostPrefix); ok {
		b.Node = node
	}
	list, bad := borrowed(b, in)
	b.Borrowed = list
	if bad == 0 {
		return b, true, nil
	}
	return b, true, []Finding{{
		Kind: KindBlock, Name: name, Field: "spec.allocations",
		Problem: fmt.Sprintf("%d entries are ignored: they belong to no address of the block, or to no attribute", bad),
		Remedy:  "repair the object",
	}}
}

// borrowed returns the addresses that other nodes use, and the number of allocations that are not valid.
func borrowed(b Block, in *BlockFields) (list []Borrowed, bad int) {
	size := 1 << (b.CIDR.Addr().BitLen() - b.CIDR.Bits())
	for ordinal, index := range in.Allocations {
		switch {
		case index < 0:
		case ordinal >= size || index >= len(in.Attributes):
			bad++
		default:
			node := in.Attributes[index].Secondary.Node
			if node != "" && node != b.Node {
				list = append(list, Borrowed{block.Block{CIDR: b.CIDR}.Addr(ordinal), node})
			}
		}
	}
	return list, bad
}
