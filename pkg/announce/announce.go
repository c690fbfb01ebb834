// SPDX-License-Identifier: Apache-2.0

// Package announce writes the addresses of a pod to the annotations that node agents read.
package announce

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"

	"calico-cni/pkg/kubeapi"
	"calico-cni/pkg/workload"
)

// Annotations with the addresses of a pod, read by node agents.
const (
	podIP       = "cni.projectcalico.org/podIP"
	podIPs      = "cni.projectcalico.org/podIPs"
	containerID = "cni.projectcalico.org/containerID"
)

// maxPatches bounds the retries of a patch. The kubelet writes to a terminating pod a few times.
const maxPatches = 10

// Announcer writes the annotations of one pod on behalf of one of its containers.
type Announcer struct {
	Client kubeapi.Transport
	ID     workload.ID
}

// Announce writes the addresses, at least one, to the pod, if it is still the same pod.
func (a Announcer) Announce(ctx context.Context, pod kubeapi.Meta, addrs []netip.Addr) error {
	texts := hosts(addrs)
	all := strings.Join(texts, ",")
	// The pod must have the same UID, but it may have changed since it was read.
	pod.ResourceVersion = ""
	return kubeapi.AnnotatePod(ctx, a.Client, a.ID.Namespace, pod, map[string]*string{
		podIP: &texts[0], podIPs: &all, containerID: &a.ID.ContainerID,
	})
}

// Restore resets the annotations to their earlier values if they still belong to this container. Another sandbox of the
// pod may have started in the meantime.
func (a Announcer) Restore(ctx context.Context, before kubeapi.Meta) error {
	values := map[string]*string{}
	for _, key := range []string{podIP, podIPs, containerID} {
		values[key] = nil
		if value, ok := before.Annotations[key]; ok {
			values[key] = &value
		}
	}
	return a.patchIf(ctx, func(pod kubeapi.Meta) bool { return pod.Annotations[containerID] == a.ID.ContainerID }, values)
}

// Clear empties the annotations unless they belong to another container: a DEL for an old sandbox must not cut off the
// new one. It reports whether the pod is gone, or its annotations belong to this container or to none. A missing pod is
// a success.
//
// addrs are the addresses that the attachment had, empty if unknown. Annotations with other addresses belong to another
// interface of the container, in another network, and are kept.
func (a Announcer) Clear(ctx context.Context, addrs []netip.Addr) (owned bool, err error) {
	// In the common case the annotations are ours, and the patch needs no preceding read.
	where := map[string]string{containerID: a.ID.ContainerID}
	if len(addrs) > 0 {
		where[podIPs] = strings.Join(hosts(addrs), ",")
	}
	err = kubeapi.AnnotatePodIf(ctx, a.Client, a.ID.Namespace, a.ID.Pod, where, map[string]string{podIP: "", podIPs: ""})
	switch {
	case err == nil, errors.Is(err, kubeapi.ErrNotFound):
		return true, nil
	case !errors.Is(err, kubeapi.ErrInvalid):
		return false, err
	}
	return a.clearIf(ctx, func(pod kubeapi.Meta) bool { return len(addrs) == 0 || names(pod, addrs) })
}

// ClearOf empties the annotations like Clear, but only if they contain one of addrs, which are being released.
// Annotations of another interface of the container are kept.
func (a Announcer) ClearOf(ctx context.Context, addrs []netip.Addr) error {
	if len(addrs) == 0 {
		return nil
	}
	_, err := a.clearIf(ctx, func(pod kubeapi.Meta) bool { return names(pod, addrs) })
	return err
}

// names reports whether the annotations contain one of the addresses.
func names(pod kubeapi.Meta, addrs []netip.Addr) bool {
	announced := strings.Split(pod.Annotations[podIP]+","+pod.Annotations[podIPs], ",")
	return slices.ContainsFunc(hosts(addrs), func(host string) bool { return slices.Contains(announced, host) })
}

// hosts returns the addresses in the format of the annotations.
func hosts(addrs []netip.Addr) []string {
	var out []string
	for _, addr := range addrs {
		out = append(out, netip.PrefixFrom(addr, addr.BitLen()).String())
	}
	return out
}

func (a Announcer) clearIf(ctx context.Context, wanted func(kubeapi.Meta) bool) (owned bool, err error) {
	empty, owned := "", true
	err = a.patchIf(ctx, func(pod kubeapi.Meta) bool {
		owner := pod.Annotations[containerID]
		owned = owner == "" || owner == a.ID.ContainerID
		return owned && a.IsPod(pod) && (pod.Annotations[podIP] != "" || pod.Annotations[podIPs] != "") && wanted(pod)
	}, map[string]*string{podIP: &empty, podIPs: &empty})
	return owned, err
}

// IsPod reports whether a pod of the API server is the pod of the container, as far as the runtime identifies it. The
// kubelet identifies a static pod by the hash of its file; the mirror pod has the hash as an annotation.
func (a Announcer) IsPod(pod kubeapi.Meta) bool {
	uid := a.ID.PodUID
	return uid == "" || uid == pod.UID || uid == pod.Annotations["kubernetes.io/config.mirror"] ||
		uid == pod.Annotations["kubernetes.io/config.hash"]
}

// patchIf sets annotations of the pod if it exists and fulfils wanted.
func (a Announcer) patchIf(ctx context.Context, wanted func(kubeapi.Meta) bool, values map[string]*string) error {
	var err error
	for range maxPatches {
		var pod kubeapi.Meta
		pod, err = kubeapi.Pod(ctx, a.Client, a.ID.Namespace, a.ID.Pod)
		if err != nil || !wanted(pod) {
			break
		}
		err = kubeapi.AnnotatePod(ctx, a.Client, a.ID.Namespace, pod, values)
		// The pod has changed in the meantime: check again which container it belongs to.
		if !errors.Is(err, kubeapi.ErrConflict) {
			break
		}
	}
	if errors.Is(err, kubeapi.ErrNotFound) {
		return nil
	}
	return err
}
