package linux

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"calico-cni/pkg/dataplane"
)

// addHostRoutes comes last: nothing reaches the pod before it is ready.
func (s *setup) addHostRoutes(context.Context) error {
	if s.spec.NoHostRoutes {
		return nil
	}
	for _, addr := range s.spec.Addrs {
		err := s.ns.host.RouteAdd(&netlink.Route{
			LinkIndex: s.hostLink.Attrs().Index,
			Dst:       single(addr),
			Scope:     netlink.SCOPE_LINK,
		})
		if errors.Is(err, unix.EEXIST) {
			err = s.checkHostRoute(addr)
		}
		if err != nil {
			return fmt.Errorf("add host route to %s through %s: %w", addr, s.spec.HostIfName, err)
		}
	}
	return nil
}

// checkHostRoute returns nil when the route that is there already leads to the pod: the node agent may be faster.
func (s *setup) checkHostRoute(addr netip.Addr) error {
	routes, err := s.ns.host.RouteGetWithOptions(addr.AsSlice(), &netlink.RouteGetOptions{FIBMatch: true})
	if err != nil { // What the kernel says to a blackhole and its like.
		return fmt.Errorf("%w: none; a blackhole, perhaps (look up route: %w): remove it", dataplane.ErrRouteConflict, err)
	}
	holder := "none"
	for _, route := range routes {
		if route.LinkIndex == s.hostLink.Attrs().Index {
			return nil
		}
		if link, err := s.ns.host.LinkByIndex(route.LinkIndex); err == nil {
			holder = link.Attrs().Name
		}
	}
	return fmt.Errorf("%w: %s: remove that route if nothing uses the address", dataplane.ErrRouteConflict, holder)
}
