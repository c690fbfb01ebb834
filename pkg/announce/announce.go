// Package announce keeps the annotations of a pod by which node agents learn of its addresses.
package announce

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"

	"calico-cni/pkg/kube"
	"calico-cni/pkg/workload"
)

// Annotations by which the node agent learns of a pod's addresses.
const (
	podIP       = "cni.projectcalico.org/podIP"
	podIPs      = "cni.projectcalico.org/podIPs"
	containerID = "cni.projectcalico.org/containerID"
)

// maxPatches bounds how often a patch of the pod is tried again. The kubelet writes to a dying pod a few times.
const maxPatches = 10

// Announcer writes the annotations of one pod on behalf of one container of it.
type Announcer struct {
	Client *kube.Client
	ID     workload.ID
}

// Announce writes the addresses, at least one, to the pod as it was read, provided that it is still the same.
func (a Announcer) Announce(ctx context.Context, pod kube.Meta, addrs []netip.Addr) error {
	said := hosts(addrs)
	all := strings.Join(said, ",")
	// The pod must be the same, but may have changed since it was read.
	pod.ResourceVersion = ""
	return a.Client.AnnotatePod(ctx, a.ID.Namespace, pod, map[string]*string{
		podIP: &said[0], podIPs: &all, containerID: &a.ID.ContainerID,
	})
}

// Restore puts the annotations back as they were before, provided that they are still this container's: another
// sandbox of the pod may have come up meanwhile.
func (a Announcer) Restore(ctx context.Context, before kube.Meta) error {
	values := map[string]*string{}
	for _, key := range []string{podIP, podIPs, containerID} {
		values[key] = nil
		if value, ok := before.Annotations[key]; ok {
			values[key] = &value
		}
	}
	return a.patchIf(ctx, func(pod kube.Meta) bool { return pod.Annotations[containerID] == a.ID.ContainerID }, values)
}

// Clear empties the annotations, unless they are those of another container: a DEL for an old sandbox must not unplug the
// new one. It reports whether the pod is this container's, or nobody's, or gone. A pod that is gone is a success.
//
// said are the addresses that the attachment is said to have had, none where nobody says: annotations that name others are
// of another interface of the container, in another network, and stay.
func (a Announcer) Clear(ctx context.Context, said []netip.Addr) (mine bool, err error) {
	// Mostly they are ours, and that takes no look.
	where := map[string]string{containerID: a.ID.ContainerID}
	if len(said) > 0 {
		where[podIPs] = strings.Join(hosts(said), ",")
	}
	err = a.Client.AnnotatePodIf(ctx, a.ID.Namespace, a.ID.Pod, where, map[string]string{podIP: "", podIPs: ""})
	switch {
	case err == nil, errors.Is(err, kube.ErrNotFound):
		return true, nil
	case !errors.Is(err, kube.ErrInvalid):
		return false, err
	}
	return a.clear(ctx, func(pod kube.Meta) bool { return len(said) == 0 || names(pod, said) })
}

// ClearOf empties them like Clear, but only if they name one of the addresses, which are given up: those of another
// interface of the container stay.
func (a Announcer) ClearOf(ctx context.Context, addrs []netip.Addr) error {
	if len(addrs) == 0 {
		return nil
	}
	_, err := a.clear(ctx, func(pod kube.Meta) bool { return names(pod, addrs) })
	return err
}

// names reports whether the annotations name one of the addresses.
func names(pod kube.Meta, addrs []netip.Addr) bool {
	said := strings.Split(pod.Annotations[podIP]+","+pod.Annotations[podIPs], ",")
	return slices.ContainsFunc(hosts(addrs), func(host string) bool { return slices.Contains(said, host) })
}

// hosts are the addresses as annotations have them.
func hosts(addrs []netip.Addr) []string {
	var out []string
	for _, addr := range addrs {
		out = append(out, netip.PrefixFrom(addr, addr.BitLen()).String())
	}
	return out
}

func (a Announcer) clear(ctx context.Context, wanted func(kube.Meta) bool) (mine bool, err error) {
	empty, mine := "", true
	err = a.patchIf(ctx, func(pod kube.Meta) bool {
		owner := pod.Annotations[containerID]
		mine = owner == "" || owner == a.ID.ContainerID
		return mine && a.IsPod(pod) && (pod.Annotations[podIP] != "" || pod.Annotations[podIPs] != "") && wanted(pod)
	}, map[string]*string{podIP: &empty, podIPs: &empty})
	return mine, err
}

// IsPod reports whether a pod of the API server is the one that the container is of, as far as the runtime says which that
// is. The kubelet knows a static pod by the hash of its file, which the mirror pod has as an annotation.
func (a Announcer) IsPod(pod kube.Meta) bool {
	uid := a.ID.PodUID
	return uid == "" || uid == pod.UID || uid == pod.Annotations["kubernetes.io/config.mirror"] || uid == pod.Annotations["kubernetes.io/config.hash"]
}

// patchIf sets annotations of the pod, provided that it is still there and as wanted.
func (a Announcer) patchIf(ctx context.Context, wanted func(kube.Meta) bool, values map[string]*string) error {
	var err error
	for range maxPatches {
		var pod kube.Meta
		pod, err = a.Client.Pod(ctx, a.ID.Namespace, a.ID.Pod)
		if err != nil || !wanted(pod) {
			break
		}
		err = a.Client.AnnotatePod(ctx, a.ID.Namespace, pod, values)
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
