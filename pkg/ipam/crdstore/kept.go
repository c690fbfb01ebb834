package crdstore

import (
	"encoding/json"

	v1 "calico-cni/pkg/apis/crd/v1"
	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
)

// EncodeBlock returns a row of a block, its revision included, as bytes that DecodeBlock reads in another process.
func (s *Store) EncodeBlock(row ipam.Row[block.Block]) ([]byte, error) {
	object, ok := row.Rev.(*v1.IPAMBlock)
	if !ok {
		return nil, ipam.ErrMalformed
	}
	return json.Marshal(object)
}

// DecodeBlock returns the row that EncodeBlock was given.
func (s *Store) DecodeBlock(data []byte) (ipam.Row[block.Block], error) {
	object := new(v1.IPAMBlock)
	if err := json.Unmarshal(data, object); err != nil {
		return ipam.Row[block.Block]{}, err
	}
	return s.blocks.row(object)
}
