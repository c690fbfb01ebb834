package plugin

import (
	"context"
	"errors"
	"net/netip"

	"github.com/containernetworking/cni/pkg/skel"
	"golang.org/x/sync/errgroup"

	"calico-cni/pkg/kube"
)

// Del detaches the pod. It does all it can and fails only at the end: the interface goes first, for that needs no API;
// then the addresses, then the annotations. What is not there is gone already.
func (p *Plugin) Del(ctx context.Context, args *skel.CmdArgs) (err error) {
	ctx, cancel := context.WithTimeout(ctx, delDeadline)
	defer cancel()
	started := p.Now()
	a, err := p.release(args)
	if err != nil {
		return err
	}
	var released []netip.Addr
	defer func() { a.log(ctx, "DEL", started, released, err) }()

	local := a.teardown(ctx, a.target())
	released, remote := a.forget(ctx)
	return errors.Join(local, remote)
}

// forget takes the attachment out of the cluster: its addresses, and beside that what the pod says of them.
func (a *attachment) forget(ctx context.Context) (released []netip.Addr, err error) {
	var delegated, freed, cleared error
	if !a.blockIPAM() {
		delegated = a.delegateDel(ctx)
	}
	if !a.asksAPI() {
		return nil, delegated
	}
	if err := a.connect(); err != nil {
		return nil, errors.Join(delegated, err)
	}
	var g errgroup.Group
	if a.blockIPAM() {
		g.Go(func() error { released, freed = a.release(ctx); return nil })
	}
	if a.id.Kubernetes() {
		g.Go(func() error { cleared = a.clear(ctx); return nil })
	}
	_ = g.Wait()
	return released, errors.Join(delegated, freed, cleared)
}

func (a *attachment) release(ctx context.Context) ([]netip.Addr, error) {
	allocations := a.allocations()
	held, err := allocations.Lookup(ctx, a.conf.Name, a.id)
	if err != nil {
		return nil, err
	}
	return allocations.Release(ctx, held)
}

// clear empties the annotations of the pod, unless they are those of another container: a DEL for an old sandbox must
// not unplug the new one. With the pod's word that the host interface is this container's, or nobody's, it also removes
// one that carries no mark: Calico leaves it so, and a crash may.
func (a *attachment) clear(ctx context.Context) error {
	empty, mine := "", true
	err := a.annotateIf(ctx, func(pod kube.Meta) bool {
		owner := pod.Annotations[annotationContainerID]
		mine = owner == "" || owner == a.id.ContainerID
		return a.announcedBy(pod)
	}, map[string]*string{annotationPodIP: &empty, annotationPodIPs: &empty})
	if err != nil || !mine {
		return err
	}
	target := a.target()
	target.Unmarked = true
	return a.teardown(ctx, target)
}

// annotateIf sets annotations of the pod, provided that it is still there and as wanted.
func (a *attachment) annotateIf(ctx context.Context, wanted func(kube.Meta) bool, values map[string]*string) error {
	var err error
	for range maxPatches {
		var pod kube.Meta
		pod, err = a.client.Pod(ctx, a.id.Namespace, a.id.Pod)
		if err != nil || !wanted(pod) {
			break
		}
		err = a.client.AnnotatePod(ctx, a.id.Namespace, pod, values)
		// Somebody wrote to the pod since: look again whose container it is now.
		if !errors.Is(err, kube.ErrConflict) {
			break
		}
	}
	if errors.Is(err, kube.ErrNotFound) {
		return nil
	}
	return err
}

// announcedBy reports whether the pod's annotations hold addresses of this container.
func (a *attachment) announcedBy(pod kube.Meta) bool {
	if !a.isPod(pod) {
		return false
	}
	owner := pod.Annotations[annotationContainerID]
	if owner != "" && owner != a.id.ContainerID {
		return false
	}
	return pod.Annotations[annotationPodIP] != "" || pod.Annotations[annotationPodIPs] != ""
}

// maxPatches bounds how often a patch of the pod is tried again. The kubelet writes to a dying pod a few times.
const maxPatches = 10
