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
	"calico-cni/pkg/netconf"
)

// Annotations by which the node agent learns of a pod's addresses.
const (
	annotationPodIP       = "cni.projectcalico.org/podIP"
	annotationPodIPs      = "cni.projectcalico.org/podIPs"
	annotationContainerID = "cni.projectcalico.org/containerID"
)

// attach sets up the interface and, beside it, tells the cluster of the addresses. It pushes what takes both back.
func (a *attachment) attach(ctx context.Context, f facts, spec dataplane.Spec, u *undo.Stack) (dataplane.Endpoint, error) {
	ctx, cancel := context.WithTimeout(ctx, attachDeadline)
	defer cancel()
	var endpoint dataplane.Endpoint
	var setUp error
	var g errgroup.Group
	g.Go(func() error {
		endpoint, setUp = a.Dataplane.Setup(ctx, spec)
		return setUp
	})
	if a.id.Kubernetes() {
		// Whether it took effect or not: a patch that got no answer may have.
		u.Push(func(ctx context.Context) error { return a.restore(ctx, f.pod) })
		g.Go(func() error { return a.announce(ctx, f.pod, spec.Addrs) })
	}
	err := g.Wait()
	if setUp == nil {
		u.Push(func(ctx context.Context) error { return a.teardown(ctx, a.target()) })
	}
	return endpoint, err
}

func (a *attachment) spec(f facts, addrs []netip.Addr, mtu int) dataplane.Spec {
	return dataplane.Spec{
		Owner: a.id.HandleID(a.conf.Name), NetNS: a.args.Netns, IfName: a.id.IfName, HostIfName: a.hostIfName,
		MTU: mtu, Queues: a.conf.NumQueues, MAC: a.mac(f), Addrs: addrs,
		AllowIPForwarding: a.conf.ContainerSettings.AllowIPForwarding,
	}
}

func (a *attachment) target() dataplane.Target {
	return dataplane.Target{
		Owner: a.id.HandleID(a.conf.Name), ContainerID: a.id.ContainerID,
		NetNS: a.args.Netns, IfName: a.id.IfName, HostIfName: a.hostIfName,
		// Outside Kubernetes the name has the container's ID in it.
		Unmarked: !a.id.Kubernetes(),
	}
}

func (a *attachment) teardown(ctx context.Context, target dataplane.Target) error {
	_, err := a.Dataplane.Teardown(ctx, target)
	return err
}

// families stands for the addresses of the families that are wanted, before there are any.
func (a *attachment) families(f facts) []netip.Addr {
	if a.conf.IPAM.Type != netconf.CalicoIPAM {
		return nil
	}
	var out []netip.Addr
	r := a.request(f)
	if r.IPv4.Wanted {
		out = append(out, netip.IPv4Unspecified())
	}
	if r.IPv6.Wanted {
		out = append(out, netip.IPv6Unspecified())
	}
	return out
}

// mac is the MAC address that the pod asks for, else the one that the runtime does, else none.
func (a *attachment) mac(f facts) net.HardwareAddr {
	if f.annotations.HWAddr != nil {
		return f.annotations.HWAddr
	}
	mac, err := net.ParseMAC(a.conf.RuntimeConfig.MAC)
	if err != nil {
		return nil
	}
	return mac
}

// announce writes the addresses to the pod's annotations.
func (a *attachment) announce(ctx context.Context, pod kube.Meta, addrs []netip.Addr) error {
	var hosts []string
	for _, addr := range addrs {
		hosts = append(hosts, netip.PrefixFrom(addr, addr.BitLen()).String())
	}
	all := strings.Join(hosts, ",")
	// The pod must be the same, but may have changed since it was read.
	pod.ResourceVersion = ""
	return a.client.AnnotatePod(ctx, a.id.Namespace, pod, map[string]*string{
		annotationPodIP: &hosts[0], annotationPodIPs: &all, annotationContainerID: &a.id.ContainerID,
	})
}

// restore puts the pod's annotations back as they were before, provided that they are still this container's: another
// sandbox of the pod may have come up meanwhile.
func (a *attachment) restore(ctx context.Context, before kube.Meta) error {
	values := map[string]*string{}
	for _, key := range []string{annotationPodIP, annotationPodIPs, annotationContainerID} {
		values[key] = nil
		if value, ok := before.Annotations[key]; ok {
			values[key] = &value
		}
	}
	return a.annotateIf(ctx, func(pod kube.Meta) bool { return pod.Annotations[annotationContainerID] == a.id.ContainerID }, values)
}

// result is what the runtime gets: both interfaces, the host's first, and the addresses as those of single hosts on the
// second. What plugins before this one in a chain did stands before that.
func (a *attachment) result(ips *current.Result, e dataplane.Endpoint) *current.Result {
	r := a.previous
	if r == nil {
		r = &current.Result{CNIVersion: current.ImplementedSpecVersion}
	}
	r.Interfaces = append(r.Interfaces,
		&current.Interface{Name: e.HostIfName},
		&current.Interface{Name: e.IfName, Mac: e.MAC.String(), Mtu: e.MTU, Sandbox: a.args.Netns})
	inPod := len(r.Interfaces) - 1
	for _, addr := range addresses(ips) {
		mask := net.CIDRMask(addr.BitLen(), addr.BitLen())
		r.IPs = append(r.IPs, &current.IPConfig{Interface: &inPod, Address: net.IPNet{IP: addr.AsSlice(), Mask: mask}})
	}
	r.Routes = append(r.Routes, ips.Routes...)
	switch {
	case !a.conf.DNS.IsEmpty():
		r.DNS = a.conf.DNS
	case r.DNS.IsEmpty():
		r.DNS = ips.DNS
	}
	return r
}
