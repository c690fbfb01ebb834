// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"errors"
	"fmt"
	"net"

	"golang.org/x/sync/errgroup"

	"calico-cni/internal/deadline"
	"calico-cni/pkg/ipam"
	"calico-cni/pkg/kube"
	"calico-cni/pkg/netconf"
	"calico-cni/pkg/nodeipam"
)

// facts are what node and cluster say before anything is written.
type facts struct {
	node           string
	pod, namespace kube.Meta
	annotations    netconf.Annotations
	// view is what block IPAM needs; empty with another IPAM plugin.
	view ipam.View
}

// readCluster reads all facts of the cluster in one parallel round.
func (a *addRun) readCluster(ctx context.Context) error {
	if !a.attachment.asksAPI() {
		return nil
	}
	f := &a.facts
	ctx, cancel := deadline.Within(ctx, gatherDeadline, "the read of what the cluster says about the pod")
	defer cancel()
	g, inGroup := errgroup.WithContext(ctx)
	if a.call.ID.Kubernetes() {
		g.Go(func() (err error) { f.pod, err = a.attachment.readPod(inGroup); return err })
		g.Go(func() (err error) { f.namespace, err = a.call.ReadNamespace(inGroup); return err })
	}
	if a.attachment.blockIPAM() {
		g.Go(func() (err error) {
			f.view, err = a.ipam.Allocations().Gather(inGroup, a.ipam.UsualRequest(f.node))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if a.call.ID.Kubernetes() && !a.attachment.announcer().IsPod(f.pod) {
		return fmt.Errorf("pod %s/%s of UID %s: %w: another pod of its name, of UID %s, has taken its place",
			a.call.ID.Namespace, a.call.ID.Pod, a.call.ID.PodUID, kube.ErrNotFound, f.pod.UID)
	}
	var err error
	f.annotations, err = a.call.Conf.Annotations(f.pod.Annotations, f.namespace.Annotations)
	return err
}

func (a *attachment) readPod(ctx context.Context) (kube.Meta, error) {
	pod, err := a.call.Client.Pod(ctx, a.call.ID.Namespace, a.call.ID.Pod)
	if errors.Is(err, kube.ErrNotFound) {
		err = fmt.Errorf("%w; the pod was deleted, or is a static pod whose mirror is not there yet", err)
	}
	return pod, err
}

// request is what configuration, annotations and arguments together ask of block IPAM. The pod's annotations count
// most, then the namespace's, then what the runtime asks for, then the configuration.
func (a *addRun) request() nodeipam.Request {
	f := &a.facts
	r := a.ipam.UsualRequest(f.node)
	r.ID = a.call.ID
	if a.call.ID.Kubernetes() {
		r.NamespaceLabels = nodeipam.NamespaceLabels(a.call.ID.Namespace, f.namespace.Labels)
	}
	if f.annotations.IPv4Pools != nil {
		r.IPv4.Pools = f.annotations.IPv4Pools
	}
	if f.annotations.IPv6Pools != nil {
		r.IPv6.Pools = f.annotations.IPv6Pools
	}
	if families := f.annotations.Families; families.IPv4 || families.IPv6 {
		r.IPv4.Wanted, r.IPv6.Wanted = families.IPv4, families.IPv6
	}
	if f.annotations.IPAddrs != nil {
		r.Name(f.annotations.IPAddrs)
	} else {
		r.Name(a.call.RequestedAddrs())
	}
	return r
}

// mac is the MAC address that the pod asks for, else the one that the runtime does, else none.
func (f *facts) mac(conf *netconf.NetConf) net.HardwareAddr {
	if f.annotations.HWAddr != nil {
		return f.annotations.HWAddr
	}
	mac, err := net.ParseMAC(conf.RuntimeConfig.MAC)
	if err != nil {
		return nil
	}
	return mac
}
