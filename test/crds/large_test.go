// SPDX-License-Identifier: Apache-2.0

package crds_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestLargePolicyIsAccepted checks that the rules in CEL stay within the budget that the server has for one object: the
// largest number of rules, and so many ports that the object has nearly the largest size that etcd stores.
func TestLargePolicyIsAccepted(t *testing.T) {
	ports := strings.Join(slices.Repeat([]string{"ab"}, 50), ", ")
	side := fmt.Sprintf("{ports: [%s], notPorts: [%s]}", ports, ports)
	rule := fmt.Sprintf("{action: Allow, source: %s, destination: %s}", side, side)
	rules := strings.Join(slices.Repeat([]string{rule}, 1024), ", ")
	if _, err := create(t, "v3", refusal{kind: "GlobalNetworkPolicy", spec: "{ingress: [" + rules + "]}"}); err != nil {
		t.Errorf("create: %.300v", err)
	}
}
