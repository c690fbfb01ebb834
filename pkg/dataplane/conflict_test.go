// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"errors"
	"net/netip"
	"testing"

	"calico-cni/pkg/dataplane"
)

func TestRouteConflictErrorNamesRouteOwnerAndRemedy(t *testing.T) {
	const prefix = `host routes the address elsewhere: the route to 10.65.0.7 is "r"`
	for _, c := range []struct {
		cause dataplane.Cause
		owner string
		want  string
		helps bool
	}{
		{
			cause: dataplane.OtherInterface, helps: true,
			want: prefix + ": remove that route if nothing uses the address",
		},
		{
			cause: dataplane.OtherInterface, owner: "net.a", helps: true,
			want: prefix + " of net.a: remove that route if nothing uses the address",
		},
		{
			cause: dataplane.OwnAddress, helps: true,
			want: prefix + ": remove the address or the route from the host, or reserve the address with an IPReservation",
		},
		{
			cause: dataplane.RoutingRule,
			want:  prefix + ": change the routing rules so that pod addresses are looked up in table main; see ip rule",
		},
		{
			cause: dataplane.Refusal, helps: true,
			want: prefix + ": remove the route or the routing rule that refuses it; see ip rule, and ip route show table all",
		},
		{
			cause: dataplane.NoRoute,
			want:  prefix + ": keep other programs of the host from removing the routes of pods",
		},
	} {
		err := &dataplane.RouteConflictError{
			Addr: netip.MustParseAddr("10.65.0.7"), Cause: c.cause, Route: "r", Owner: c.owner,
		}
		if err.Error() != c.want {
			t.Errorf("got  %s\nwant %s", err, c.want)
		}
		if err.AnotherAddressHelps() != c.helps {
			t.Errorf("cause %d: AnotherAddressHelps is %v", c.cause, !c.helps)
		}
		if !errors.Is(err, dataplane.ErrRouteConflict) {
			t.Errorf("%v is not ErrRouteConflict", err)
		}
	}
}
