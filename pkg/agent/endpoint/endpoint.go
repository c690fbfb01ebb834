// SPDX-License-Identifier: Apache-2.0

// Package endpoint knows the pods of the node: which interface and addresses each has, and the files that tell the
// plugins and other programs that the network of a pod is ready.
package endpoint

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"

	"calico-cni/pkg/workload"
)

// The annotations of a pod that the plugins write.
const (
	podIP  = "cni.projectcalico.org/podIP"
	podIPs = "cni.projectcalico.org/podIPs"
)

// podIfName is the name of a pod's interface in the pod.
const podIfName = "eth0"

// Endpoint is the interface of a pod of this node.
type Endpoint struct {
	Namespace, Pod string
	// Addrs are sorted.
	Addrs []netip.Addr
}

// FromPod returns the endpoint of a pod with its annotations. It returns false if the plugins have not attached the
// pod, or have detached it. Pods in the network of the host have no endpoint either.
func FromPod(namespace, name string, annotations map[string]string) (Endpoint, bool) {
	e := Endpoint{Namespace: namespace, Pod: name}
	for text := range strings.SplitSeq(annotations[podIP]+","+annotations[podIPs], ",") {
		text, _, _ = strings.Cut(strings.TrimSpace(text), "/")
		if addr, err := netip.ParseAddr(text); err == nil {
			e.Addrs = append(e.Addrs, addr.Unmap())
		}
	}
	slices.SortFunc(e.Addrs, netip.Addr.Compare)
	e.Addrs = slices.Compact(e.Addrs)
	return e, len(e.Addrs) > 0
}

// Equal reports whether two endpoints are equal.
func (e Endpoint) Equal(o Endpoint) bool {
	return e.Namespace == o.Namespace && e.Pod == o.Pod && slices.Equal(e.Addrs, o.Addrs)
}

func (e Endpoint) id() workload.ID {
	return workload.ID{Namespace: e.Namespace, Pod: e.Pod, IfName: podIfName}
}

// HostIfName returns the name of the host end of the interface. prefix is that of workload.ParsePrefix.
func (e Endpoint) HostIfName(prefix string) string { return e.id().HostIfName(prefix) }

// StatusFile returns the name and the content of the file that says that the endpoint is ready, as Felix writes it.
func (e Endpoint) StatusFile(prefix string) (name string, content []byte) {
	status := struct {
		IfaceName string   `json:"ifaceName,omitempty"`
		IPv4Nets  []string `json:"ipv4Nets,omitempty"`
		IPv6Nets  []string `json:"ipv6Nets,omitempty"`
	}{IfaceName: e.HostIfName(prefix)}
	for _, addr := range e.Addrs {
		one := netip.PrefixFrom(addr, addr.BitLen()).String()
		if addr.Is4() {
			status.IPv4Nets = append(status.IPv4Nets, one)
		} else {
			status.IPv6Nets = append(status.IPv6Nets, one)
		}
	}
	content, _ = json.Marshal(status) // Strings always encode.
	return e.id().StatusFileName(), content
}
