// SPDX-License-Identifier: Apache-2.0

package nodeipam

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func addrs(text string) (list []netip.Addr) {
	for field := range strings.FieldsSeq(text) {
		list = append(list, netip.MustParseAddr(field))
	}
	return list
}

func TestRequestAddrsRequestsNoOtherAddresses(t *testing.T) {
	for _, c := range []struct {
		v4, v6      bool
		named, want string
	}{
		{true, false, "", "4:[a] invalid IP"},
		{false, true, "", "6:[b] invalid IP"},
		{true, true, "", "4:[a] invalid IP 6:[b] invalid IP"},
		{true, false, "10.0.0.5", "4:[a] 10.0.0.5"},
		{true, true, "10.0.0.5", "4:[a] 10.0.0.5"},
		{true, true, "fd00::5", "6:[b] fd00::5"},
		{true, false, "fd00::5", "6:[b] fd00::5"},
		{true, false, "fd00::5 10.0.0.5", "4:[a] 10.0.0.5 6:[b] fd00::5"},
		{false, false, "10.0.0.5", "4:[a] 10.0.0.5"},
	} {
		r := Request{IPv4: Family{Wanted: c.v4, Pools: []string{"a"}}, IPv6: Family{Wanted: c.v6, Pools: []string{"b"}}}
		r.RequestAddrs(addrs(c.named))
		var got []string
		for name, f := range map[string]Family{"4": r.IPv4, "6": r.IPv6} {
			if f.Wanted {
				got = append(got, fmt.Sprintf("%s:%v %v", name, f.Pools, f.Addr))
			}
		}
		if len(got) == 2 && got[0] > got[1] {
			got[0], got[1] = got[1], got[0]
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("IPv4 %t, IPv6 %t, named %q: wants %s, want %s", c.v4, c.v6, c.named, text, c.want)
		}
	}
}

func TestNamespaceLabelsSetName(t *testing.T) {
	for _, c := range []struct{ labels, want map[string]string }{
		{nil, map[string]string{"projectcalico.org/name": "shop"}},
		{map[string]string{"team": "a"}, map[string]string{"projectcalico.org/name": "shop", "team": "a"}},
		{map[string]string{"projectcalico.org/name": "bank"}, map[string]string{"projectcalico.org/name": "shop"}},
	} {
		before := fmt.Sprint(c.labels)
		if diff := cmp.Diff(c.want, NamespaceLabels("shop", c.labels)); diff != "" {
			t.Errorf("labels %v (-want +got):\n%s", c.labels, diff)
		}
		if after := fmt.Sprint(c.labels); after != before {
			t.Errorf("the namespace's own labels were %s and are %s", before, after)
		}
	}
}
