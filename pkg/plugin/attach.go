package plugin

import (
	"context"
	"net"
	"net/netip"
	"strings"

	current "github.com/containernetworking/cni/pkg/types/100"
	"golang.org/x/sync/errgroup"

	"calico-cni/internal/undo"
	"calico-cni/pkg/dataplane"
	"calico-cni/pkg/kube"
)

// Annotations by which the node agent learns of a pod's addresses.
const (
	annotationPodIP       = "cni.projectcalico.org/podIP"
	annotationPodIPs      = "cni.projectcalico.org/podIPs"
	annotationContainerID = "cni.projectcalico.org/containerID"
)

// attach sets up the interface and, beside it, tells the cluster of the addresses. It pushes what takes both back.
func (a *attachment) attach(ctx context.Context, f facts, addrs []netip.Addr, mtu int, u *undo.Stack) (dataplane.Endpoint, error) {
	var endpoint dataplane.Endpoint
	var setUp, announced error
	var g errgroup.Group
	g.Go(func() error {
		endpoint, setUp = a.Dataplane.Setup(ctx, a.spec(f, addrs, mtu))
		return setUp
	})
	if a.id.Kubernetes() {
		// Whether it took effect or not: a patch that got no answer may have.
		u.Push(func(ctx context.Context) error { return a.announce(ctx, f.pod, nil) })
		g.Go(func() error {
			announced = a.announce(ctx, f.pod, addrs)
			return announced
		})
	}
	err := g.Wait()
	if setUp == nil {
		u.Push(func(ctx context.Context) error { return a.Dataplane.Teardown(ctx, a.target()) })
	}
	return endpoint, err
}

func (a *attachment) spec(f facts, addrs []netip.Addr, mtu int) dataplane.Spec {
	return dataplane.Spec{
		Owner: a.id.ContainerID, NetNS: a.args.Netns, IfName: a.id.IfName, HostIfName: a.hostIfName,
		MTU: mtu, Queues: a.conf.NumQueues, MAC: f.annotations.HWAddr, Addrs: addrs,
		AllowIPForwarding: a.conf.ContainerSettings.AllowIPForwarding,
	}
}

func (a *attachment) target() dataplane.Target {
	return dataplane.Target{Owner: a.id.ContainerID, NetNS: a.args.Netns, IfName: a.id.IfName, HostIfName: a.hostIfName}
}

// announce writes the addresses to the pod's annotations; none clears them. The container's ID stays in either case.
func (a *attachment) announce(ctx context.Context, pod kube.Meta, addrs []netip.Addr) error {
	var hosts []string
	for _, addr := range addrs {
		hosts = append(hosts, netip.PrefixFrom(addr, addr.BitLen()).String())
	}
	first := ""
	if len(hosts) > 0 {
		first = hosts[0]
	}
	// The pod must be the same, but may have changed since it was read.
	pod.ResourceVersion = ""
	return a.client.AnnotatePod(ctx, a.id.Namespace, pod, map[string]string{
		annotationPodIP: first, annotationPodIPs: strings.Join(hosts, ","), annotationContainerID: a.id.ContainerID,
	})
}

// result is what the runtime gets: both interfaces, the host's first, and the addresses as those of single hosts on the second.
func (a *attachment) result(ips *current.Result, e dataplane.Endpoint) *current.Result {
	second := 1
	r := &current.Result{
		CNIVersion: current.ImplementedSpecVersion,
		Interfaces: []*current.Interface{
			{Name: e.HostIfName},
			{Name: e.IfName, Mac: e.MAC.String(), Mtu: e.MTU, Sandbox: a.args.Netns},
		},
		Routes: ips.Routes,
		DNS:    a.conf.DNS,
	}
	for _, addr := range addresses(ips) {
		mask := net.CIDRMask(addr.BitLen(), addr.BitLen())
		r.IPs = append(r.IPs, &current.IPConfig{Interface: &second, Address: net.IPNet{IP: addr.AsSlice(), Mask: mask}})
	}
	if r.DNS.IsEmpty() {
		r.DNS = ips.DNS
	}
	return r
}
