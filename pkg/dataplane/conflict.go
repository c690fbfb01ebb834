// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"fmt"
	"net/netip"
)

// Cause is the reason why packets for an address of the pod do not reach the pod's interface.
type Cause int

// The causes of a RouteConflictError.
const (
	// OtherInterface: the host has a host route to the address through another interface.
	OtherInterface Cause = iota
	// OwnAddress: the host treats the address as its own, or as a broadcast or anycast address.
	OwnAddress
	// RoutingRule: a routing rule selects another table, and a route there covers the address.
	RoutingRule
	// Refusal: a route or a routing rule refuses packets for the address.
	Refusal
	// NoRoute: the host has no host route to the address.
	NoRoute
)

// remedies has the remedy of each cause, for an administrator.
var remedies = [...]string{
	OtherInterface: "remove that route if nothing uses the address",
	OwnAddress:     "remove the address or the route from the host, or reserve the address with an IPReservation",
	RoutingRule:    "change the routing rules so that pod addresses are looked up in table main; see ip rule",
	Refusal:        "remove the route or the routing rule that refuses it; see ip rule, and ip route show table all",
	NoRoute:        "keep other programs of the host from removing the routes of pods",
}

// RouteConflictError reports an address of the pod that the host does not route to the pod. It wraps ErrRouteConflict.
type RouteConflictError struct {
	Addr  netip.Addr
	Cause Cause
	// Route is the host's route in iproute2 notation, or the kernel's error if it returns no route.
	Route string
	// HostIfName is the interface that the host routes the address through. Empty if the kernel does not report it.
	HostIfName string
	// Owner is the owner of that interface, from its mark. Empty if the interface has no mark.
	Owner string
}

func (c *RouteConflictError) Error() string {
	owner := ""
	if c.Owner != "" {
		owner = " of " + c.Owner
	}
	return fmt.Sprintf("%v: the route to %s is %q%s: %s", ErrRouteConflict, c.Addr, c.Route, owner, remedies[c.Cause])
}

// AnotherAddressHelps reports whether the host may route another address to the pod. It returns false if the conflict
// does not depend on the address: a routing rule selects another table, or a program removes the routes of pods.
func (c *RouteConflictError) AnotherAddressHelps() bool {
	return c.Cause != RoutingRule && c.Cause != NoRoute
}

// Unwrap returns ErrRouteConflict.
func (c *RouteConflictError) Unwrap() error { return ErrRouteConflict }
