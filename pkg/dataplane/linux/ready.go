// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	// readyWait is longer than a busy kernel needs. If something is missing afterwards, another program has removed it.
	readyWait = 5 * time.Second
	// readyPoll is about the time that an idle kernel needs.
	readyPoll = time.Millisecond
)

// awaitReadiness waits for work that the kernel does asynchronously after it has answered: it registers that both ends
// are up (until then the end that came up first drops packets), and it starts to accept packets for new IPv6 addresses,
// including those without duplicate address detection.
func (s *setup) awaitReadiness(ctx context.Context) error {
	late := time.NewTimer(readyWait)
	defer late.Stop()
	for {
		missing, err := s.missing()
		if err != nil || missing == "" {
			return err
		}
		select {
		case <-ctx.Done():
			return interrupted(ctx, "await "+missing)
		case <-late.C:
			return fmt.Errorf("await %s: not there after %s: keep the host's network manager off the pods' interfaces",
				missing, readyWait)
		case <-time.After(readyPoll):
		}
	}
}

// missing names the first part that is not ready. It returns an empty string if everything is ready.
func (s *setup) missing() (string, error) {
	for _, end := range []struct {
		side  side
		link  netlink.Link
		addrs []netip.Addr
	}{
		{s.ns.host, s.host.link, []netip.Addr{gateway6}},
		{s.ns.pod, s.pod.link, s.spec.Addrs},
	} {
		name, index := end.link.Attrs().Name, end.link.Attrs().Index
		link, err := end.side.LinkByIndex(index)
		if err != nil {
			return "", fmt.Errorf("look up interface %s: %w", name, err)
		}
		if link.Attrs().OperState != netlink.OperUp {
			return "carrier of " + name, nil
		}
		for _, addr := range end.addrs {
			if addr.Is6() && uses6(s.spec) && !end.side.receives(addr, index) {
				return fmt.Sprintf("address %s of %s", addr, name), nil
			}
		}
	}
	return "", nil
}

// receives reports whether the host or pod accepts packets for addr on the link. The kernel adds the local route last,
// when the address is otherwise ready.
func (s side) receives(addr netip.Addr, index int) bool {
	routes, err := s.RouteGetWithOptions(addr.AsSlice(), &netlink.RouteGetOptions{OifIndex: index})
	return err == nil && len(routes) > 0 && routes[0].Type == unix.RTN_LOCAL
}
