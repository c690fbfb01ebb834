// SPDX-License-Identifier: Apache-2.0

// Package dataplane describes network attachments of pods, independent of how a kernel implements them.
//
// A Spec is the desired state of an attachment, an Endpoint the result. Package linux implements both with a veth or
// netkit pair.
package dataplane

import (
	"context"
	"errors"
	"net"
	"net/netip"
)

// Errors of every data plane. Match them with errors.Is.
var (
	// ErrNoNetNS: the pod's network namespace does not exist. The runtime removed the sandbox or passed a wrong path.
	ErrNoNetNS = errors.New("network namespace does not exist")
	// ErrHostNetNS: the pod's network namespace is that of the host. The data plane creates no attachment there.
	ErrHostNetNS = errors.New("network namespace is the host's own")
	// ErrIfNameTaken: the pod already has an interface with the requested name. That interface is unchanged.
	ErrIfNameTaken = errors.New("interface name is taken")
	// ErrRouteConflict: the host does not route one of the addresses to the pod because of its own routes, addresses or
	// rules.
	ErrRouteConflict = errors.New("host routes the address elsewhere")
	// ErrDenied: the system denies the plugin a privilege or a write. The text names the privilege.
	ErrDenied = errors.New("denied by the system")
	// ErrSpec: the spec is invalid.
	ErrSpec = errors.New("attachment cannot be made")
	// ErrBroken: an attachment differs from its spec. The text lists every difference. A new sandbox repairs all of
	// them.
	ErrBroken = errors.New("attachment is broken")
	// ErrPodsCutOff: running pods have lost connectivity although their attachments are unchanged.
	ErrPodsCutOff = errors.New("running pods are cut off")
	// ErrNoIPv6: the kernel runs without IPv6, but the pod has an IPv6 address.
	ErrNoIPv6 = errors.New("the kernel has no IPv6")
)

// Spec is the desired state of one attachment.
type Spec struct {
	// Handle is the attachment's IPAM handle, "<network>.<container ID>", and the owner of the host interface, whose
	// alias is "<Handle>/<IfName>". By the alias, a teardown for an older sandbox of the same pod recognizes that the
	// interface belongs to a newer one.
	Handle string
	// NetNS is the path of the pod's network namespace.
	NetNS string
	// IfName is the interface in the pod, HostIfName its peer on the host.
	IfName, HostIfName string
	// SecondHostIfName is used instead of HostIfName if another interface of the same pod has that name; see Admit. It
	// must be unique to this container and IfName. If it is empty, the pod gets no second interface.
	SecondHostIfName string
	// Shared says that another container may use the same HostIfName. An interface of that name with another owner's
	// mark is then kept, and SecondHostIfName is used. If Shared is false, such an interface belongs to an older
	// sandbox of the same pod and is replaced.
	Shared bool
	// Netkit requests a netkit pair instead of a veth pair. A kernel without netkit gets a veth pair.
	Netkit bool
	// MTU of both ends in bytes. 0 keeps the kernel's default.
	MTU int
	// Queues is the number of transmit and receive queues of both ends of a veth pair; 0 means 1. A netkit pair has 1.
	Queues int
	// MAC of the pod's end. If nil, the kernel chooses it.
	MAC net.HardwareAddr
	// Addrs are the pod's addresses: at least one, IPv4, IPv6 or both. Each gets a host route.
	Addrs []netip.Addr
	// Routes are the destinations that the pod reaches through its gateways. Routes of a family without an address are
	// skipped. Nil means the default route of each family.
	Routes []netip.Prefix
	// AllowIPForwarding lets the pod forward packets between its interfaces.
	AllowIPForwarding bool
	// NoHostRoutes skips the routes on the host. The target of a live migration gets them later.
	NoHostRoutes bool
}

// Kind is the type of the interface pair, in the kernel's terms.
type Kind string

// The kinds of a Linux data plane.
const (
	Veth   Kind = "veth"
	Netkit Kind = "netkit"
)

// Endpoint describes an attachment that Setup created.
type Endpoint struct {
	IfName, HostIfName string
	Kind               Kind
	// MAC of the pod's end.
	MAC net.HardwareAddr
	// MTU of the pod's end in bytes.
	MTU int
}

// Target identifies an attachment to remove.
type Target struct {
	// Handle is the IPAM handle as in the Spec. A host interface with another mark is kept.
	Handle string
	// ContainerID is the suffix of Handle, and of the handles of the container's attachments in other networks.
	ContainerID string
	// NetNS is the path of the pod's network namespace. It may be empty or no longer exist; then only the host end is
	// removed.
	NetNS string
	// IfName is the interface in the pod; HostIfName or SecondHostIfName is its peer on the host.
	IfName, HostIfName, SecondHostIfName string
	// Unmarked says that an unmarked attachment of the workload, such as Calico creates, belongs to this target's
	// container. If it is false, such an attachment is kept unless another one in NetNS carries a mark of the
	// container.
	Unmarked bool
}

// Others reports which other interfaces the target's container still has, by their marks: InNetwork with the same owner
// (the same network), Elsewhere with owners in other networks.
type Others struct{ InNetwork, Elsewhere bool }

// Attachment is the host end of one attachment, identified by its mark.
type Attachment struct {
	// Owner and IfName are empty for an interface whose Setup is running, or was killed before it could set the mark.
	// Only a Teardown that names the owner can identify such an interface.
	Owner, IfName, HostIfName string
	// Fault says why the pod has no connectivity although its attachment is unchanged, with a remedy. Empty if there is
	// no fault.
	Fault string
}

// Interface is a data plane. Setup undoes its steps if it fails. Teardown of an absent attachment succeeds.
type Interface interface {
	// Admit returns the spec to pass to Setup: HostIfName is replaced by SecondHostIfName if another interface of the
	// same pod has HostIfName. It returns the errors with which Setup would reject the spec or the existing state, so
	// that a caller can run it before it does other work. It returns ErrIfNameTaken if the interface exists or if no
	// second name is available. It changes nothing. It uses only the families of the addresses, and accepts a spec
	// without addresses.
	Admit(ctx context.Context, spec Spec) (Spec, error)
	// Setup creates the attachment. Its error wraps ErrNoNetNS, ErrHostNetNS, ErrIfNameTaken, ErrRouteConflict (as a
	// *RouteConflictError), ErrSpec or ErrNoIPv6 where these apply.
	Setup(ctx context.Context, spec Spec) (Endpoint, error)
	// Teardown removes the attachment if it exists and belongs to the target's owner. It reports which other interfaces
	// the container still has on the host. If it returns an error, a false field may mean unknown.
	Teardown(ctx context.Context, target Target) (Others, error)
	// Check compares the existing attachment with the spec, whose HostIfName may be either of the two names. It changes
	// nothing. The error wraps ErrBroken and lists every difference in a fixed order, or wraps ErrNoNetNS if the
	// namespace is gone. Check ignores additions by chained plugins, values that they lower, and settings that Calico's
	// own plugin omits.
	Check(ctx context.Context, spec Spec) error
	// List returns all attachments of this data plane on the host, sorted by HostIfName.
	List(ctx context.Context) ([]Attachment, error)
}
