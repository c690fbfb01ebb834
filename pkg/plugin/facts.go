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
	"calico-cni/pkg/kubeapi"
	"calico-cni/pkg/netconf"
	"calico-cni/pkg/nodeipam"
)

// facts is the state of the node and the cluster, read before the ADD writes anything.
type facts struct {
	node           string
	pod, namespace kubeapi.Meta
	annotations    netconf.Annotations
	// view is the input of block IPAM. It is empty with another IPAM plugin.
	view ipam.View
}

// readCluster reads all facts of the cluster in one parallel round.
func (a *addRun) readCluster(ctx context.Context) error {
	c := a.attachment.call
	if !a.attachment.usesAPI() {
		return nil
	}
	f := &a.facts
	ctx, cancel := deadline.Within(ctx, gatherDeadline, "reading the pod and the IP pools from the API server")
	defer cancel()
	g, inGroup := errgroup.WithContext(ctx)
	if c.ID.Kubernetes() {
		g.Go(func() (err error) { f.pod, err = a.attachment.readPod(inGroup); return err })
		g.Go(func() (err error) { f.namespace, err = c.ReadNamespace(inGroup); return err })
	}
	if a.attachment.blockIPAM() {
		g.Go(func() (err error) {
			f.view, err = a.attachment.ipam.Allocations().Gather(inGroup, a.attachment.ipam.UsualRequest(f.node))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if c.ID.Kubernetes() && !a.attachment.announcer().IsPod(f.pod) {
		return fmt.Errorf("pod %s/%s of UID %s: %w: another pod of its name, of UID %s, has taken its place",
			c.ID.Namespace, c.ID.Pod, c.ID.PodUID, kubeapi.ErrNotFound, f.pod.UID)
	}
	var err error
	f.annotations, err = c.Conf.Annotations(f.pod.Annotations, f.namespace.Annotations)
	return err
}

func (a *attachment) readPod(ctx context.Context) (kubeapi.Meta, error) {
	pod, err := kubeapi.Pod(ctx, a.call.Client, a.call.ID.Namespace, a.call.ID.Pod)
	if errors.Is(err, kubeapi.ErrNotFound) {
		err = fmt.Errorf("%w; the pod was deleted, or is a static pod whose mirror is not there yet", err)
	}
	return pod, err
}

// request returns the request to block IPAM. Annotations of the pod take precedence, then those of the namespace, then
// the arguments of the runtime, then the configuration.
func (a *addRun) request() nodeipam.Request {
	c := a.attachment.call
	f := &a.facts
	r := a.attachment.ipam.UsualRequest(f.node)
	r.ID = c.ID
	if c.ID.Kubernetes() {
		r.NamespaceLabels = nodeipam.NamespaceLabels(c.ID.Namespace, f.namespace.Labels)
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
		r.RequestAddrs(f.annotations.IPAddrs)
	} else {
		r.RequestAddrs(c.RequestedAddrs())
	}
	return r
}

// mac returns the MAC address from the pod's annotation, otherwise from the runtime, otherwise nil.
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
