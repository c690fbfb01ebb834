// SPDX-License-Identifier: Apache-2.0

package crdstore

import (
	"encoding/json"
	"errors"
	"testing"

	"calico-cni/pkg/apis/crd/v1/spec"
	"calico-cni/pkg/ipam"
	"calico-cni/pkg/kubeapi"
)

// The check for overlapping blocks relies on the names of objects.
func TestDecodeRejectsBlockWithNameOfOtherCIDR(t *testing.T) {
	o := new(kubeapi.Object[spec.IPAMBlock])
	data := `{"apiVersion":"crd.projectcalico.org/v1","kind":"IPAMBlock",
		"metadata":{"name":"10-0-0-0-31","uid":"u","resourceVersion":"1"},
		"spec":{"cidr":"10.0.9.0/31","affinity":"host:a","allocations":[null,null],"unallocated":[0,1],"attributes":[]}}`
	if err := json.Unmarshal([]byte(data), o); err != nil {
		t.Fatal(err)
	}
	if b, _, err := (blockCodec{}).decode(o); !errors.Is(err, ipam.ErrMalformed) {
		t.Errorf("object 10-0-0-0-31 is read as block %s, %v", b.CIDR, err)
	}
}
