package plugin

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/kube"
	"calico-cni/pkg/netconf"
)

// facts are what the cluster says before anything is written.
type facts struct {
	node           string
	pod, namespace kube.Meta
	annotations    netconf.Annotations
	// view is what block IPAM needs; empty with another IPAM plugin.
	view ipam.View
}

// gather reads all facts in one parallel round.
func (a *attachment) gather(ctx context.Context, node string) (facts, error) {
	f := facts{node: node}
	if !a.asksAPI() {
		return f, nil
	}
	if err := a.connect(); err != nil {
		return f, err
	}
	ctx, cancel := context.WithTimeout(ctx, gatherDeadline)
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	if a.id.Kubernetes() {
		g.Go(func() (err error) { f.pod, err = a.pod(ctx); return err })
		g.Go(func() (err error) { f.namespace, err = a.client.Namespace(ctx, a.id.Namespace); return err })
	}
	if a.blockIPAM() {
		g.Go(func() (err error) { f.view, err = a.allocations().Gather(ctx, node); return err })
	}
	if err := g.Wait(); err != nil {
		return f, err
	}
	if a.id.Kubernetes() && !a.isPod(f.pod) {
		return f, fmt.Errorf("pod %s/%s of UID %s: %w: another pod of its name, of UID %s, has taken its place",
			a.id.Namespace, a.id.Pod, a.id.PodUID, kube.ErrNotFound, f.pod.UID)
	}
	return f, a.annotations(&f)
}

// isPod reports whether a pod of the API server is the one that the sandbox is for, as far as the runtime says which that
// is. The kubelet knows a static pod by the hash of its file, which the mirror pod has as an annotation.
func (a *attachment) isPod(pod kube.Meta) bool {
	uid := a.id.PodUID
	return uid == "" || uid == pod.UID || uid == pod.Annotations["kubernetes.io/config.mirror"] || uid == pod.Annotations["kubernetes.io/config.hash"]
}

func (a *attachment) annotations(f *facts) (err error) {
	if f.annotations, err = a.conf.Annotations(f.pod.Annotations, f.namespace.Annotations); err != nil {
		return err
	}
	if f.annotations.IPAddrsNoIPAM != nil {
		return fmt.Errorf("%w: annotation cni.projectcalico.org/ipAddrsNoIpam is not supported yet; use ipAddrs, or remove it", netconf.ErrUnsupported)
	}
	return nil
}

// pod reads the pod.
func (a *attachment) pod(ctx context.Context) (kube.Meta, error) {
	pod, err := a.client.Pod(ctx, a.id.Namespace, a.id.Pod)
	if errors.Is(err, kube.ErrNotFound) {
		err = fmt.Errorf("%w; the pod was deleted, or is a static pod whose mirror is not there yet", err)
	}
	return pod, err
}
