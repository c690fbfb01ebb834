// SPDX-License-Identifier: Apache-2.0

package route

import (
	"fmt"
	"net/netip"

	"calico-cni/pkg/netstate"
)

// Verb says what a change does.
type Verb string

// The changes of a routing table. Each is one request to the kernel.
const (
	// Add fails if there is a route with the same destination and metric.
	Add Verb = "add"
	// Replace replaces the first route with the same destination and metric.
	Replace Verb = "replace"
	// Delete deletes exactly the route that was found.
	Delete Verb = "delete"
)

// Change is one change of the main table.
type Change struct {
	Verb  Verb
	Route netstate.Route
	// Found is the route that is replaced or deleted.
	Found Found
	// For is the destination for whose sake a temporary route is changed.
	For netip.Prefix
}

// Object returns the destination of the route.
func (c Change) Object() string {
	if c.For.IsValid() {
		return c.For.String()
	}
	return c.Route.Dest.String()
}

// String returns the change for messages.
func (c Change) String() string {
	if c.Verb == Replace && c.Found != (Found{}) {
		return fmt.Sprintf("replace route %s with %s", c.Found, c.Route)
	}
	if c.Verb == Delete {
		return fmt.Sprintf("delete route %s", c.Found)
	}
	return fmt.Sprintf("%s route %s", c.Verb, c.Route)
}

// String returns the route in the form of `ip route`, with what the agent never writes in brackets.
func (f Found) String() string {
	s := f.Route.String()
	if f.TOS != 0 {
		s += fmt.Sprintf(" tos %#x", f.TOS)
	}
	if f.Other != "" {
		s += " (" + f.Other + ")"
	}
	return s
}
