// SPDX-License-Identifier: Apache-2.0

package crdstore

import (
	"bytes"
	"fmt"
	"testing"

	"calico-cni/pkg/apis/crd/v1/spec"
	"calico-cni/pkg/kubeapi"
)

// TestTouchChangesTheHandleObject covers handles with and without the annotation, and with a value that is not a
// number.
func TestTouchChangesTheHandleObject(t *testing.T) {
	for annotations, want := range map[string]int{
		``: 1, `"annotations":{"x":"y"},`: 1, `"annotations":{"calico-cni/touches":"7"},`: 8,
		`"annotations":{"calico-cni/touches":"rubbish"},`: 1, `"annotations":{"calico-cni/touches":""},`: 1,
		`"annotations":{"calico-cni/touches":"-1"},`: 0,
	} {
		o := new(kubeapi.Object[spec.IPAMHandle])
		const object = `{"metadata":{%s"name":"net.a"},"spec":{"handleID":"net.A","block":{"10.0.0.0/26":1},"deleted":false}}`
		text := fmt.Sprintf(object, annotations)
		if err := o.UnmarshalJSON([]byte(text)); err != nil {
			t.Fatal(err)
		}
		h, _, err := (handleCodec{}).decode(o)
		if err != nil {
			t.Fatal(err)
		}
		encode := func(touches int) []byte {
			next := *o
			h.Touches = touches
			(handleCodec{}).fill(&next, h.ID, h, false)
			data, err := next.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			return data
		}
		before, touched := encode(h.Touches), encode(h.Touches+1)
		if h.Touches != want {
			t.Errorf("%s: touched to %d, want %d", annotations, h.Touches, want)
		}
		if bytes.Equal(before, touched) {
			t.Errorf("%s: a touch does not change the object: %s", annotations, touched)
		}
	}
}
