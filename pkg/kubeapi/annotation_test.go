// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"encoding/json"
	"testing"
)

func TestSetAnnotationKeepsOthersAndCopy(t *testing.T) {
	var read Metadata
	if err := json.Unmarshal([]byte(`{"name":"n","annotations":{"a":"<1>"},"generation":3}`), &read); err != nil {
		t.Fatal(err)
	}
	set := read
	set.SetAnnotation("b", "2")
	for _, c := range []struct{ what, got, want string }{
		{"a of the copy", set.Annotation("a"), "<1>"},
		{"b of the copy", set.Annotation("b"), "2"},
		{"b as read", read.Annotation("b"), ""},
		{"missing", read.Annotation("c"), ""},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %q, want %q", c.what, c.got, c.want)
		}
	}
	var again Metadata
	data, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &again); err != nil || again.Annotation("a") != "<1>" ||
		again.Annotation("b") != "2" {
		t.Errorf("written and read: %s, %v", data, err)
	}
	var empty Metadata
	empty.SetAnnotation("a", "1")
	if empty.Annotation("a") != "1" {
		t.Error("an annotation of an object without any was not set")
	}
}
