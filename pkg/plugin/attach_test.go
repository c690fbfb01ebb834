// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"calico-cni/pkg/cnierr"
	"calico-cni/pkg/dataplane"
	"calico-cni/pkg/invocation"
	"calico-cni/pkg/netconf"
	"calico-cni/pkg/nodeipam"
)

// conflicting is a data plane whose Setup always fails with a conflict. It counts the calls.
type conflicting struct {
	dataplane.Interface
	conflict dataplane.RouteConflictError
	calls    int
}

func (c *conflicting) Setup(context.Context, dataplane.Spec) (dataplane.Endpoint, error) {
	c.calls++
	return dataplane.Endpoint{}, &c.conflict
}

// TestAddFailsOnConflictThatOtherAddressDoesNotResolve uses conflicts that a retry does not resolve either, so the code
// is not 11. test/e2e has the conflicts that another address resolves.
func TestAddFailsOnConflictThatOtherAddressDoesNotResolve(t *testing.T) {
	addr := netip.MustParseAddr("10.66.0.1")
	for _, c := range []struct {
		name           string
		cause          dataplane.Cause
		requested, own bool
		code           uint
		remedy         string
	}{
		{"routing rule", dataplane.RoutingRule, false, false, 104, "change the routing rules"},
		{"routes are removed", dataplane.NoRoute, false, false, 104, "keep other programs of the host from removing"},
		{"routing rule for a requested address", dataplane.RoutingRule, true, false, 104, "change the routing rules"},
		{"requested address of the host", dataplane.OwnAddress, true, false, 102, "reserve the address with an " +
			"IPReservation; or request another address"},
		{"requested address that is routed elsewhere", dataplane.OtherInterface, true, false, 102, "or request another " +
			"address"},
		{"address that the pod brings", dataplane.OwnAddress, false, true, 102, "or request another address"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conf := &netconf.NetConf{IPAM: netconf.IPAM{Type: netconf.CalicoIPAM, AssignIPv4: true}}
			if c.requested {
				conf.RuntimeConfig.IPs = []string{addr.String()}
			}
			d := &conflicting{conflict: dataplane.RouteConflictError{Addr: addr, Cause: c.cause}}
			call := &invocation.Call{Conf: conf, Log: slog.New(slog.DiscardHandler)}
			a := newAddRun(&attachment{call: call, ipam: call.NodeIPAM(), dataplane: d}, Gates{})
			a.grants.list, a.ips = []nodeipam.Grant{{}}, hosts([]netip.Addr{addr})
			if c.own {
				a.grants.list, a.facts.annotations.IPAddrsNoIPAM = nil, []netip.Addr{addr}
			}
			err := a.attachInterface(t.Context())
			if d.calls != 1 || !errors.Is(err, dataplane.ErrRouteConflict) || !strings.Contains(err.Error(), c.remedy) {
				t.Errorf("%d attempts, want one; error %v, want the remedy %q", d.calls, err, c.remedy)
			}
			if code := cnierr.From(err).Code; code != c.code {
				t.Errorf("code %d, want %d", code, c.code)
			}
		})
	}
}
