// SPDX-License-Identifier: Apache-2.0

package pending

import (
	"net/netip"
	"slices"
	"time"

	"calico-cni/internal/nodestate"
)

// version is the format of a release on disk.
const version = 1

// Release is what a DEL has left to do, as stored on disk. It contains no secret: only the path of the kubeconfig.
type Release struct {
	// Version is set by Add.
	Version int `json:"version"`
	// Network, ContainerID and IfName identify the attachment: the name of the network, CNI_CONTAINERID and CNI_IFNAME.
	Network     string `json:"network"`
	ContainerID string `json:"containerID"`
	IfName      string `json:"ifName"`
	// Namespace, Pod and PodUID are empty outside Kubernetes.
	Namespace string `json:"namespace,omitempty"`
	Pod       string `json:"pod,omitempty"`
	PodUID    string `json:"podUID,omitempty"`
	// Kubeconfig is the path of the file that leads to the API server.
	Kubeconfig string `json:"kubeconfig,omitempty"`
	// APIRoot is the URL of the API server, without a password, if the configuration names no kubeconfig.
	APIRoot string `json:"apiRoot,omitempty"`
	// Node is the name of the node that queued the release, empty if the DEL did not know it.
	Node string `json:"node,omitempty"`
	// Queued is when the release was added, by the wall clock. It is informational.
	Queued time.Time `json:"queued"`
	// Others says whether the container still had other interfaces in the network. OtherNetworks says that it may have
	// had some in other networks.
	Others        Others `json:"others"`
	OtherNetworks bool   `json:"otherNetworks,omitempty"`
	// Addresses are the attachment's addresses according to the runtime, none if it did not pass them.
	Addresses []netip.Addr `json:"addresses,omitempty"`
	// ReleasedBefore says that an earlier DEL has released everything that certainly belonged to the attachment.
	ReleasedBefore bool `json:"releasedBefore,omitempty"`
	// Released are the addresses that are already released although a later step failed: the annotations of the pod may
	// still have them.
	Released []netip.Addr `json:"released,omitempty"`
}

// Others says whether a container has other interfaces in the network of an attachment. Every value except NoOthers and
// SomeOthers counts as OthersUnknown.
type Others string

// What is known about other interfaces.
const (
	OthersUnknown Others = "unknown"
	NoOthers      Others = "none"
	SomeOthers    Others = "some"
)

// Key returns the attachment of the release.
func (r Release) Key() nodestate.Key {
	return nodestate.Key{Network: r.Network, ContainerID: r.ContainerID, IfName: r.IfName}
}

// namesOtherServer reports whether two releases name different API servers. A release that names none may belong to
// any.
func (r Release) namesOtherServer(other Release) bool {
	named := func(r Release) bool { return r.Kubeconfig != "" || r.APIRoot != "" }
	return named(r) && named(other) && (r.Kubeconfig != other.Kubeconfig || r.APIRoot != other.APIRoot)
}

// keepFrom adds to the release what it does not know and an earlier release of the same attachment does.
func (r *Release) keepFrom(before Release) {
	if r.Kubeconfig == "" && r.APIRoot == "" {
		r.Kubeconfig, r.APIRoot = before.Kubeconfig, before.APIRoot
	}
	r.Released = union(r.Released, before.Released)
	r.Addresses = union(r.Addresses, before.Addresses)
	r.ReleasedBefore = r.ReleasedBefore || before.ReleasedBefore
}

// union returns the addresses of both, sorted, or nil for none.
func union(a, b []netip.Addr) []netip.Addr {
	all := slices.Concat(a, b)
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}
