// SPDX-License-Identifier: Apache-2.0

package linux_test

import (
	"testing"

	"calico-cni/pkg/dataplane"
	"calico-cni/pkg/dataplane/linux"
)

// TestTeardownReportsUnmarkedFirstInterface deletes a second interface beside a first one of Calico, or one whose mark
// another program has replaced.
func TestTeardownReportsUnmarkedFirstInterface(t *testing.T) {
	for _, alias := range []string{"", "sandbox-1"} {
		node, pod := newNode(t), newPod(t)
		_, second := addSecond(t, node, pod)
		setAlias(t, node, hostIfName, alias)
		var others dataplane.Others
		var err error
		node.Do(func() { others, err = linux.New("").Teardown(t.Context(), targetOf(second)) })
		if err != nil || !others.InNetwork {
			t.Errorf("alias %q: others is %+v, %v: DEL of net1 releases the address of eth0", alias, others, err)
		}
	}
}
