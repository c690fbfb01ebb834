// SPDX-License-Identifier: Apache-2.0

package crdstore

import (
	"encoding/json"
	"testing"

	v3 "calico-cni/pkg/apis/projectcalico/v3/spec"
	"calico-cni/pkg/ipam"
	"calico-cni/pkg/kubeapi"
)

// TestAffinityOfGroupV3 reads an affinity as Calico writes it in projectcalico.org/v3, and writes it back.
func TestAffinityOfGroupV3(t *testing.T) {
	for _, c := range []struct {
		spec    string
		state   ipam.State
		deleted bool
	}{
		{`{"state":"pending","node":"n","cidr":"10.0.0.0/26","deleted":false}`, ipam.Pending, false},
		{`{"state":"","node":"n","type":"host","cidr":"10.0.0.0/26","deleted":true,"later":1}`, ipam.Confirmed, true},
	} {
		var o kubeapi.Object[v3.BlockAffinity]
		if err := json.Unmarshal([]byte(`{"metadata":{"name":"n-10-0-0-0-26"},"spec":`+c.spec+`}`), &o); err != nil {
			t.Fatal(err)
		}
		key, err := v3Affinities.key(&o)
		if want := (ipam.AffinityKey{Node: "n", CIDR: prefix("10.0.0.0/26")}); key != want || err != nil {
			t.Errorf("%s: key %v, %v", c.spec, key, err)
		}
		a, deleted, err := v3Affinities.decode(&o)
		if a.State != c.state || deleted != c.deleted || err != nil {
			t.Errorf("%s: state %q, deleted %t, %v", c.spec, a.State, deleted, err)
		}
		v3Affinities.fill(&o, key, ipam.Affinity{State: ipam.Confirmed}, !deleted)
		written, err := json.Marshal(o.Spec)
		want := `{"state":"confirmed","node":"n","type":"host","cidr":"10.0.0.0/26","deleted":true}`
		if c.deleted {
			want = `{"state":"confirmed","node":"n","type":"host","cidr":"10.0.0.0/26","deleted":false,"later":1}`
		}
		if string(written) != want || err != nil {
			t.Errorf("written %s, %v\nwant    %s", written, err, want)
		}
	}
}
