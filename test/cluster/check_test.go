// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCheckerDetectsFaults creates each fault in a state as it is read from a cluster.
func TestCheckerDetectsFaults(t *testing.T) {
	a, b := netip.MustParseAddr("10.244.0.1"), netip.MustParseAddr("10.244.0.2")
	for name, test := range map[string]struct {
		routes, blocks Owners
		want           []string
	}{
		"no fault": {
			Owners{a: {"node-1 cali1#7"}}, Owners{a: {"node-1 default/x"}, b: {"node-1 default/y"}}, nil,
		},
		"routed and free": {
			Owners{a: {"node-1 cali1#7"}},
			Owners{b: {"node-1 default/y"}},
			[]string{"10.244.0.1 is routed to node-1 cali1#7 but free"},
		},
		"routed to two nodes": {
			Owners{a: {"node-1 cali1#7", "node-2 cali2#9"}},
			Owners{a: {"node-1 default/x"}},
			[]string{"10.244.0.1 is routed to node-1 cali1#7 and node-2 cali2#9"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := compare(test.routes, test.blocks)
			slices.Sort(got)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestCheckerIgnoresTransientStates: an interface that was replaced between two reads does not count twice.
func TestCheckerIgnoresTransientStates(t *testing.T) {
	a := netip.MustParseAddr("10.244.0.1")
	before := Owners{a: {"node-1 cali1#7", "node-2 cali2#8"}}
	after := Owners{a: {"node-1 cali1#7", "node-2 cali2#9"}}
	if got, want := both(before, after).text(), "10.244.0.1 node-1 cali1#7\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := shared(before).text(); got != before.text() {
		t.Errorf("shared: got %q, want %q", got, before.text())
	}
}

// TestCheckerDetectsFaultInCluster routes an address of a pod to an interface of another pod on another node.
func TestCheckerDetectsFaultInCluster(t *testing.T) {
	needUnwatched(t, func() {})
	apply(t, pod("a", "node-1", "")+pod("b", "node-2", ""))
	ready(t, "a", "b")
	checker := c.State().Check(t.Context())
	a := addrs(t, "a")[0]
	_, err := c.Nodes[1].Run(t.Context(), "sh", "-c", "ip route add "+a+" dev $(ip -o route get "+addrs(t,
		"b")[0]+" | sed 's/.* dev \\([^ ]*\\) .*/\\1/')")
	do(t, err)
	eventually(t, func() error {
		checker.mu.Lock()
		defer checker.mu.Unlock()
		if len(checker.wrong) == 0 {
			return errors.New("the checker has found no fault")
		}
		return nil
	})
	_, err = c.Nodes[1].Run(t.Context(), "ip", "route", "del", a)
	do(t, err)
	_, err = checker.Stop()
	if err == nil || !strings.Contains(err.Error(), a+" is routed to node-1 ") {
		t.Errorf("the checker found %v, want %s routed twice", err, a)
	}
}
