// SPDX-License-Identifier: Apache-2.0

package netconf

import (
	"fmt"
	"strings"
	"testing"
)

func TestPodRoutes(t *testing.T) {
	const two = `"routes":[{"dst":"10.96.0.7/12","gw":"10.0.0.1"},{"dst":"fd00::/8"},{"dst":"10.96.0.0/12"}]`
	for _, c := range []struct{ ipam, more, want string }{
		{`"type":"host-local"`, "", "[]"},
		{`"type":"host-local"`, `,"include_default_routes":true`, "[]"},
		{`"type":"host-local","routes":[]`, "", "[]"},
		{`"type":"host-local",` + two, "", "[10.96.0.0/12 fd00::/8]"},
		{`"type":"host-local",` + two, `,"include_default_routes":true`, "[0.0.0.0/0 ::/0 10.96.0.0/12 fd00::/8]"},
		{`"type":"host-local","routes":[{"dst":"::/0"}]`, `,"include_default_routes":true`, "[0.0.0.0/0 ::/0]"},
		{`"type":"static",` + two, "", "[]"},
		{`"type":"calico-ipam",` + two, "", "[]"},
	} {
		conf, err := Parse(fmt.Appendf(nil, `{"name":"n","ipam":{%s}%s}`, c.ipam, c.more))
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(conf.PodRoutes()); got != c.want {
			t.Errorf("{%s}%s: %s, want %s", c.ipam, c.more, got, c.want)
		}
	}
}

func TestParseRejectsHostLocalRouteWithoutCIDR(t *testing.T) {
	const routes = `[{"dst":"0.0.0.0/0"},{"dst":"10.0.0.1"}]`
	_, err := Parse([]byte(`{"name":"n","ipam":{"type":"host-local","routes":` + routes + `}}`))
	if err == nil || !strings.Contains(err.Error(), `ipam.routes[1].dst: "10.0.0.1": want a CIDR`) {
		t.Errorf("error %v", err)
	}
}
