// SPDX-License-Identifier: Apache-2.0

package binaries

import "testing"

func TestOlderFollowsSemanticVersioning(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"v1.2.3", "v1.2.4", true},
		{"v1.2.4", "v1.2.3", false},
		{"v1.9.0", "v1.10.0", true},
		{"v1.2.3-rc.1", "v1.2.3", true},
		{"1.2.3-rc.2", "v1.2.3-rc.10", true},
		{"v1.2.3", "v1.2.3", false},
		{"v1.2.3+a", "v1.2.3+b", false},
		{"unversioned", "v1.2.3", false},
		{"v1.2.3", "unversioned", false},
		{"v1.2.3", "", false},
		{"v1.2.3", "v1.2.4-5-g0123abc", false},
		{"v1.2.3", "v1.2.4-dirty", false},
		{"0123abc", "v1.2.4", false},
		{"v1.2.3", "7510558", false},
		{"v1.2.3", "v2", false},
		{"v1.2.3", "v1.3", false},
	} {
		if got := older(tt.a, tt.b); got != tt.want {
			t.Errorf("%s older than %s: %v", tt.a, tt.b, got)
		}
	}
}
