package linux

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"calico-cni/internal/undo"
	"calico-cni/pkg/dataplane"
)

const (
	// readyWait is more than a busy kernel takes; what stays away longer was taken away by someone.
	readyWait = 5 * time.Second
	// readyPoll is about what an idle kernel takes.
	readyPoll = time.Millisecond
)

// setup is one run of Setup: the methods that take a context are its steps, in the order of that table.
type setup struct {
	spec    dataplane.Spec
	sysctls sysctlTree
	ns      pair
	undo    *undo.Stack

	podLink, hostLink netlink.Link // Once the pair is there.
}

func (s *setup) checkIPv6(context.Context) error {
	if !uses6(s.spec) {
		return nil
	}
	ok, err := s.sysctls.hasIPv6()
	if err != nil {
		return fmt.Errorf("look for IPv6: %w", err)
	}
	if !ok {
		return fmt.Errorf("%w: boot it without ipv6.disable=1, or give the pod IPv4 addresses only", dataplane.ErrNoIPv6)
	}
	return nil
}

func (s *setup) checkIfName(context.Context) error {
	link, err := s.ns.pod.linkByName(s.spec.IfName)
	if err != nil || link == nil {
		return err
	}
	return fmt.Errorf("%w: %s in %s: remove it, or let the runtime make a new sandbox",
		dataplane.ErrIfNameTaken, s.spec.IfName, s.spec.NetNS)
}

// setPodSysctls comes before the pair is made, which inherits conf/default, so that its link-local address is never tentative.
func (s *setup) setPodSysctls(context.Context) error {
	wanted := podSysctls(s.spec)
	return s.ns.inPod(func() error {
		before, err := s.sysctls.read(wanted)
		if err != nil {
			return err
		}
		// Oldest first also on the way back: conf/all writes through to conf/default and conf/lo, which follow it.
		s.undo.Push(func(context.Context) error {
			return s.ns.inPod(func() error { return s.sysctls.set(before) })
		})
		return s.sysctls.set(wanted)
	})
}

func (s *setup) removeStale(context.Context) error {
	link, err := s.ns.host.linkByName(s.spec.HostIfName)
	if err != nil || link == nil {
		return err
	}
	podEnd, err := s.ns.podEndOf(link)
	if err != nil {
		return err
	}
	if podEnd != nil {
		return fmt.Errorf("%w: %s on the host belongs to %s of this very pod: remove that first",
			dataplane.ErrIfNameTaken, s.spec.HostIfName, podEnd.Attrs().Name)
	}
	return s.ns.host.deleteLink(link)
}

// markOwner sets the alias and then resets the group, which stood for it. It comes before the link is up: see halfMade.
func (s *setup) markOwner(context.Context) error {
	alias := markOf(s.spec).String()
	if err := s.ns.host.LinkSetAlias(s.hostLink, alias); err != nil {
		return fmt.Errorf("set alias of %s to %s: %w", s.spec.HostIfName, alias, err)
	}
	if err := s.ns.host.LinkSetGroup(s.hostLink, 0); err != nil {
		return fmt.Errorf("reset group of %s: %w", s.spec.HostIfName, err)
	}
	return nil
}

// setHostSysctls comes before the link is up, and so before duplicate address detection could start.
func (s *setup) setHostSysctls(context.Context) error {
	return s.sysctls.set(hostSysctls(s.spec))
}

// addGateway does not leave the pod's IPv6 gateway to the kernel, which makes it only where addr_gen_mode is EUI-64.
func (s *setup) addGateway(context.Context) error {
	if !uses6(s.spec) {
		return nil
	}
	addr := &netlink.Addr{IPNet: prefix(gateway6, 64), Flags: unix.IFA_F_NODAD}
	if err := s.ns.host.AddrReplace(s.hostLink, addr); err != nil {
		return fmt.Errorf("add address %s to %s: %w", addr.IPNet, s.spec.HostIfName, explainIPv6(err, s.spec.HostIfName))
	}
	return nil
}

func (s *setup) bringUp(context.Context) error {
	if err := s.ns.host.LinkSetUp(s.hostLink); err != nil {
		return fmt.Errorf("bring up %s: %w", s.spec.HostIfName, err)
	}
	if err := s.ns.pod.LinkSetUp(s.podLink); err != nil {
		return fmt.Errorf("bring up %s: %w", s.spec.IfName, err)
	}
	return nil
}

func (s *setup) addAddrs(context.Context) error {
	for _, a := range s.spec.Addrs {
		addr := &netlink.Addr{IPNet: single(a)}
		if a.Is6() {
			addr.Flags = unix.IFA_F_NODAD
		}
		if err := s.ns.pod.AddrAdd(s.podLink, addr); err != nil {
			return fmt.Errorf("add address %s to %s: %w", a, s.spec.IfName, explainIPv6(err, s.spec.IfName))
		}
	}
	return nil
}

// awaitReadiness waits for what the kernel does in work queues of its own after it has answered: it notices
// that both ends are up (until then the end that came up first drops what it should send), and it starts to
// receive for new IPv6 addresses, those without duplicate address detection too.
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
			return fmt.Errorf("await %s: not there after %s: keep the host's network manager off the pods' interfaces", missing, readyWait)
		case <-time.After(readyPoll):
		}
	}
}

// missing names what is not ready, or nothing.
func (s *setup) missing() (string, error) {
	for _, end := range []struct {
		side  side
		link  netlink.Link
		addrs []netip.Addr
	}{
		{s.ns.host, s.hostLink, []netip.Addr{gateway6}},
		{s.ns.pod, s.podLink, s.spec.Addrs},
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

// receives tells whether the link takes packets for addr as its own. The kernel adds the route that says so
// when all else for the address is done.
func (s side) receives(addr netip.Addr, index int) bool {
	routes, err := s.RouteGetWithOptions(addr.AsSlice(), &netlink.RouteGetOptions{OifIndex: index})
	return err == nil && len(routes) > 0 && routes[0].Type == unix.RTN_LOCAL
}

// addNeighbours tells the pod the MAC address of its gateways, so that the first packet waits for no answer,
// and the pod has a gateway also where the host gives none: it answers for 169.254.1.1 only while it has a route there.
func (s *setup) addNeighbours(context.Context) error {
	var gateways []netip.Addr
	if uses4(s.spec) {
		gateways = append(gateways, gateway4)
	}
	if uses6(s.spec) {
		gateways = append(gateways, gateway6)
	}
	for _, gateway := range gateways {
		err := s.ns.pod.NeighSet(&netlink.Neigh{
			LinkIndex:    s.podLink.Attrs().Index,
			State:        netlink.NUD_PERMANENT,
			IP:           gateway.AsSlice(),
			HardwareAddr: hostMAC,
		})
		if err != nil {
			return fmt.Errorf("add neighbour %s to pod: %w", gateway, err)
		}
	}
	return nil
}

func (s *setup) endpoint() dataplane.Endpoint {
	return dataplane.Endpoint{
		IfName:     s.spec.IfName,
		HostIfName: s.spec.HostIfName,
		Kind:       dataplane.Kind(s.podLink.Type()),
		MAC:        s.podLink.Attrs().HardwareAddr,
		MTU:        s.podLink.Attrs().MTU,
	}
}
