// SPDX-License-Identifier: Apache-2.0

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
	// readyWait is longer than a busy kernel needs. What is missing after it was removed by another program.
	readyWait = 5 * time.Second
	// readyPoll is about the time that an idle kernel needs.
	readyPoll = time.Millisecond
)

// setup is one run of Setup. Its methods that take a context are the steps, in the order of the table in Setup.
type setup struct {
	spec    dataplane.Spec
	sysctls sysctlTree
	ns      pair
	undo    *undo.Stack

	podLink, hostLink netlink.Link // Set once the pair exists.
}

func (s *setup) checkIPv6(context.Context) error {
	if !uses6(s.spec) {
		return nil
	}
	ok, err := s.sysctls.hasIPv6()
	if err != nil {
		return fmt.Errorf("detect IPv6: %w", err)
	}
	if !ok {
		return fmt.Errorf("%w: boot it without ipv6.disable=1, or give the pod IPv4 addresses only",
			dataplane.ErrNoIPv6)
	}
	return nil
}

func (s *setup) checkIfName(context.Context) error {
	link, err := s.ns.pod.linkByName(s.spec.IfName)
	if err != nil || link == nil {
		return err
	}
	return fmt.Errorf("%w: %s in %s: remove it, or let the runtime create a new sandbox",
		dataplane.ErrIfNameTaken, s.spec.IfName, s.spec.NetNS)
}

// setPodSysctls runs before the pair is created. The pair inherits conf/default, so its link-local address is never
// tentative.
func (s *setup) setPodSysctls(context.Context) error {
	wanted := podSysctls(s.spec)
	return s.ns.inPod(func() error {
		before, err := s.sysctls.read(wanted)
		if err != nil {
			return err
		}
		// The undo also starts with the first: conf/all writes through to conf/default and conf/lo, which are restored
		// after it.
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
		return fmt.Errorf("%w: %s on the host belongs to %s of the same pod: remove that interface first",
			dataplane.ErrIfNameTaken, s.spec.HostIfName, podEnd.Attrs().Name)
	}
	return s.ns.host.deleteLink(link)
}

// markOwner sets the alias and then resets the group that represented it. It runs before the link is up: see halfMade.
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

// setHostSysctls runs before the link is up, and therefore before duplicate address detection can start.
func (s *setup) setHostSysctls(context.Context) error {
	return s.sysctls.set(hostSysctls(s.spec))
}

// addGateway adds the pod's IPv6 gateway explicitly, because the kernel creates it only if addr_gen_mode is EUI-64.
func (s *setup) addGateway(context.Context) error {
	if !uses6(s.spec) {
		return nil
	}
	addr := &netlink.Addr{IPNet: prefix(gateway6, 64), Flags: unix.IFA_F_NODAD}
	if err := s.ns.host.AddrReplace(s.hostLink, addr); err != nil {
		return fmt.Errorf("add address %s to %s: %w", addr.IPNet, s.spec.HostIfName,
			explainIPv6(err, s.spec.HostIfName))
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

// missing returns what is not ready, or an empty string.
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

// receives reports whether the host or pod accepts packets for addr on the link. The kernel adds the local route last,
// when the address is otherwise ready.
func (s side) receives(addr netip.Addr, index int) bool {
	routes, err := s.RouteGetWithOptions(addr.AsSlice(), &netlink.RouteGetOptions{OifIndex: index})
	return err == nil && len(routes) > 0 && routes[0].Type == unix.RTN_LOCAL
}

// addNeighbours adds the MAC address of the gateways to the pod, so that the first packet does not wait for an answer.
// The pod also needs this if the host does not answer: it answers for 169.254.1.1 only while it has a route there.
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
