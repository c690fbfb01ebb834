// SPDX-License-Identifier: Apache-2.0

package linux_test

import (
	"testing"

	"calico-cni/pkg/dataplane/linux"
)

func TestWorkloadIsFoundUnderAnyPrefix(t *testing.T) {
	node := newNode(t)
	addLink(t, node, "old0123456789a")
	for _, c := range []struct {
		name  string
		names []string
		want  bool
	}{
		{"the same name", []string{"old0123456789a", ""}, true},
		{"another prefix", []string{"cali0123456789a", ""}, true},
		{"the second name", []string{"cali00000000000", "cali0123456789a"}, true},
		{"another workload", []string{"old0123456789b", "cali00000000000"}, false},
		{"part of the suffix", []string{"123456789a"}, false},
		{"no name", []string{"", ""}, false},
	} {
		var got bool
		node.Do(func() { got = linux.HasWorkload(c.names...) })
		if got != c.want {
			t.Errorf("%s: %t, want %t", c.name, got, c.want)
		}
	}
	if linux.HasWorkload("old0123456789a") {
		t.Error("found in another network namespace")
	}
}
