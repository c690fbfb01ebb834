// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	current "github.com/containernetworking/cni/pkg/types/100"
	"golang.org/x/sync/errgroup"

	"calico-cni/internal/deadline"
	"calico-cni/pkg/dataplane"
	"calico-cni/pkg/ipam"
	"calico-cni/pkg/netconf"
	"calico-cni/pkg/nodeipam"
)

// maxConflicts limits the attempts with another address after the host routes an address to something else.
const maxConflicts = 4

// attachInterface sets up the interface and annotates the pod in parallel. If the host already has a route for an
// allocated address, attachInterface retries with another address, unless the address was requested or another one
// does not help.
func (a *addRun) attachInterface(ctx context.Context) error {
	ctx, cancel := deadline.Within(ctx, attachDeadline, "the setup of the interface")
	defer cancel()
	for tries := 1; ; tries++ {
		err := a.setUp(ctx)
		var conflict *dataplane.RouteConflictError
		switch {
		case !errors.As(err, &conflict):
			return err
		case a.isRequested(conflict.Addr) && conflict.AnotherAddressHelps():
			return fmt.Errorf("%w: %w; or request another address", ipam.ErrAddrTaken, err)
		case tries == maxConflicts, !conflict.AnotherAddressHelps(), !mayReassign(a.grants, a.request()):
			return err
		}
		a.attachment.call.Log.Warn(
			"retrying with another address: a host route already uses this one",
			"address", conflict.Addr, "route", conflict.Route, "interface", conflict.HostIfName, "owner", conflict.Owner)
		ips, err := a.grants.replace(ctx, a.facts.view, a.request())
		if ips != nil {
			a.ips = ips
		}
		if err != nil {
			return errors.Join(conflict, err)
		}
	}
}

// isRequested reports whether the pod or the runtime requests this specific address.
func (a *addRun) isRequested(addr netip.Addr) bool {
	r := a.request()
	return addr == r.IPv4.Addr || addr == r.IPv6.Addr || slices.Contains(a.facts.annotations.IPAddrsNoIPAM, addr)
}

// mayReassign reports whether block IPAM may allocate other addresses: no specific address is requested.
func mayReassign(grants blockGrants, r nodeipam.Request) bool {
	return len(grants.list) > 0 && !r.IPv4.Addr.IsValid() && !r.IPv6.Addr.IsValid()
}

func (a *addRun) setUp(ctx context.Context) error {
	spec := a.spec
	spec.Addrs, spec.NoHostRoutes = addresses(a.ips), isLiveMigrationTarget(a.attachment.call.Conf, a.ips)
	var setupErr error
	var g errgroup.Group
	g.Go(func() error {
		a.endpoint, setupErr = a.attachment.dataplane.Setup(ctx, spec)
		return setupErr
	})
	if a.announces() {
		if !a.announcing {
			a.announcing = true
			// Push the undo before the patch, because a patch without a response may have taken effect.
			a.undo.Push(func(ctx context.Context) error { return a.attachment.announcer().Restore(ctx, a.facts.pod) })
		}
		g.Go(func() error { return a.attachment.announcer().Announce(ctx, a.facts.pod, spec.Addrs) })
	}
	err := g.Wait()
	if setupErr == nil {
		a.undo.Push(func(ctx context.Context) error {
			_, err := a.attachment.dataplane.Teardown(ctx, a.attachment.target())
			return err
		})
	}
	return err
}

// announces reports whether the pod's annotations describe this interface. They do not describe a second interface.
func (a *addRun) announces() bool {
	id := a.attachment.call.ID
	return id.Kubernetes() && a.spec.HostIfName == id.HostIfName(a.attachment.prefix)
}

// isLiveMigrationTarget reports whether the pod is the target of a live migration. The host must not route the
// addresses to it yet. calico-ipam returns a result without routes in this case.
func isLiveMigrationTarget(conf *netconf.NetConf, ips *current.Result) bool {
	return conf.IPAM.Type == netconf.CalicoIPAM && len(ips.Routes) == 0
}

// result returns the result of the ADD. It appends to the result of previous plugins in a chain: the host interface,
// the pod interface, and the addresses with host prefixes on the pod interface.
func (a *addRun) result() *current.Result {
	r, e := a.attachment.previous, a.endpoint
	if r == nil {
		r = &current.Result{CNIVersion: current.ImplementedSpecVersion}
	}
	r.Interfaces = append(r.Interfaces,
		&current.Interface{Name: e.HostIfName},
		&current.Interface{Name: e.IfName, Mac: e.MAC.String(), Mtu: e.MTU, Sandbox: a.attachment.call.CNI.Netns})
	inPod := len(r.Interfaces) - 1
	for _, addr := range addresses(a.ips) {
		r.IPs = append(r.IPs, &current.IPConfig{Interface: &inPod, Address: host(addr)})
	}
	r.Routes = append(r.Routes, a.ips.Routes...)
	switch {
	case !a.attachment.call.Conf.DNS.IsEmpty():
		r.DNS = a.attachment.call.Conf.DNS
	case r.DNS.IsEmpty():
		r.DNS = a.ips.DNS
	}
	return r
}
