// SPDX-License-Identifier: Apache-2.0

package crdstore

import (
	"encoding/json"
	"errors"

	"calico-cni/pkg/apis/crd/v1/spec"
	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/kubeapi"
)

// EncodeBlock encodes a row of a block, including its revision. DecodeBlock decodes it, also in another process.
func (s *Store) EncodeBlock(row ipam.Row[block.Block]) ([]byte, error) {
	object, ok := row.Rev.(*kubeapi.Object[spec.IPAMBlock])
	if !ok {
		return nil, errors.New("encode block: the row was not read before")
	}
	return object.MarshalJSON()
}

// DecodeBlock decodes a row that EncodeBlock has encoded.
func (s *Store) DecodeBlock(data []byte) (ipam.Row[block.Block], error) {
	object := new(kubeapi.Object[spec.IPAMBlock])
	if err := json.Unmarshal(data, object); err != nil {
		return ipam.Row[block.Block]{}, err
	}
	return s.blocks.row(object)
}
