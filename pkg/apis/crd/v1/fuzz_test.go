// SPDX-License-Identifier: Apache-2.0

package v1_test

import (
	"encoding/json"
	"testing"
)

func FuzzBlockAffinity(f *testing.F)      { fuzz(f, "BlockAffinity") }
func FuzzClusterInformation(f *testing.F) { fuzz(f, "ClusterInformation") }
func FuzzIPAMBlock(f *testing.F)          { fuzz(f, "IPAMBlock") }
func FuzzIPAMConfig(f *testing.F)         { fuzz(f, "IPAMConfig") }
func FuzzIPAMHandle(f *testing.F)         { fuzz(f, "IPAMHandle") }
func FuzzIPPool(f *testing.F)             { fuzz(f, "IPPool") }
func FuzzIPReservation(f *testing.F)      { fuzz(f, "IPReservation") }

// fuzz checks that accepted input can be written, and that written output is read and written unchanged.
func fuzz(f *testing.F, kind string) {
	f.Add([]byte(`{"spec":{"new":1},"Spec":{"new":[{}]},"new":{"a":null}}`))
	for _, s := range samples {
		if s.kind == kind {
			f.Add([]byte(s.json(s.spec)))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		first := kinds[kind].make()
		if json.Unmarshal(data, first) != nil {
			return
		}
		written, err := json.Marshal(first)
		if err != nil {
			t.Fatalf("write what was read: %v", err)
		}
		second := kinds[kind].make()
		if err := json.Unmarshal(written, second); err != nil {
			t.Fatalf("read what was written: %v\n%s", err, written)
		}
		again, err := json.Marshal(second)
		if err != nil {
			t.Fatal(err)
		}
		if string(again) != string(written) {
			t.Errorf("written once:  %s\nwritten twice: %s", written, again)
		}
	})
}
