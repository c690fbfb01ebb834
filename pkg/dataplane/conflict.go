package dataplane

import (
	"fmt"
	"net/netip"
)

// RouteConflictError is an address of the pod that the host already routes to somebody else who is alive. It wraps ErrRouteConflict.
type RouteConflictError struct {
	Addr netip.Addr
	// HostIfName is the interface that the host routes the address through; empty when the kernel does not tell.
	HostIfName string
	// Owner is that interface's, from its mark; empty where it has none.
	Owner string
}

func (c *RouteConflictError) Error() string {
	holder := "a route that a lookup does not find"
	if c.HostIfName != "" {
		holder = c.HostIfName
	}
	if c.Owner != "" {
		holder += " of " + c.Owner
	}
	return fmt.Sprintf("%v: %s goes through %s: remove that route if nothing uses the address", ErrRouteConflict, c.Addr, holder)
}

// Unwrap returns ErrRouteConflict.
func (c *RouteConflictError) Unwrap() error { return ErrRouteConflict }
