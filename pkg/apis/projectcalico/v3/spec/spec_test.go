// SPDX-License-Identifier: Apache-2.0

package spec_test

import (
	"encoding/json"
	"testing"

	v1 "calico-cni/pkg/apis/crd/v1/spec"
	"calico-cni/pkg/apis/projectcalico/v3/spec"
)

func TestFieldsOfNewerWritersAreKept(t *testing.T) {
	for _, tt := range []struct {
		text string
		into any
	}{
		{`{"state":"","node":"a","cidr":"10.0.0.0/26","deleted":false,"later":{"a":1}}`, new(spec.BlockAffinity)},
		{`{"strictAffinity":false,"autoAllocateBlocks":true,"ipCooldownSeconds":1,"later":[1]}`, new(spec.IPAMConfiguration)},
	} {
		if err := json.Unmarshal([]byte(tt.text), tt.into); err != nil {
			t.Fatal(err)
		}
		got, err := json.Marshal(tt.into)
		if err != nil || string(got) != tt.text {
			t.Errorf("got %s, %v, want %s", got, err, tt.text)
		}
	}
}

func TestIPAMConfigurationConverts(t *testing.T) {
	c := spec.IPAMConfiguration{StrictAffinity: true, MaxBlocksPerHost: 3, Unknown: v1.Unknown{"later": []byte("1")}}
	got := v1.IPAMConfig(c)
	if !got.StrictAffinity || got.MaxBlocksPerHost != 3 || len(got.Unknown) != 1 {
		t.Errorf("converted: %+v", got)
	}
}
