// Package dataplane says what a pod's network attachment shall be, apart from how a kernel is made to hold it.
//
// A Spec is the wish, an Endpoint what came of it. Package linux beneath it fulfils both with a veth pair.
package dataplane

import (
	"context"
	"errors"
	"net"
	"net/netip"
)

// Errors of every data plane; match them with errors.Is.
var (
	// ErrNoNetNS: the network namespace of the pod does not exist. The runtime removed the sandbox, or named a wrong path.
	ErrNoNetNS = errors.New("network namespace does not exist")
	// ErrHostNetNS: the network namespace of the pod is that of the host, in which no attachment is made.
	ErrHostNetNS = errors.New("network namespace is the host's own")
	// ErrIfNameTaken: the pod already has an interface of the wanted name; it was left as it is.
	ErrIfNameTaken = errors.New("interface name is taken")
	// ErrRouteConflict: the host does not route one of the addresses to the pod, because of routes, addresses or
	// rules of its own.
	ErrRouteConflict = errors.New("host routes the address elsewhere")
	// ErrDenied: the system denies the plugin a privilege or a write; the text names the privilege.
	ErrDenied = errors.New("denied by the system")
	// ErrSpec: the wish itself cannot be fulfilled by any kernel.
	ErrSpec = errors.New("attachment cannot be made")
	// ErrBroken: an attachment is not as its spec wants it; the text lists every difference. A new sandbox cures them all.
	ErrBroken = errors.New("attachment is broken")
	// ErrSuffering: running pods are cut off, though nobody touched their attachments.
	ErrSuffering = errors.New("running pods are cut off")
	// ErrNoIPv6: the kernel runs without IPv6, but the pod has an IPv6 address.
	ErrNoIPv6 = errors.New("the kernel has no IPv6")
)

// Spec is one attachment as it shall be.
type Spec struct {
	// Owner is the attachment's IPAM handle, "<network>.<container ID>". The host interface carries it with the IfName, as
	// its alias "<Owner>/<IfName>", so that a teardown for an older sandbox of the same pod can tell that it is no longer its own.
	Owner string
	// NetNS is the path of the pod's network namespace.
	NetNS string
	// IfName is the interface in the pod, HostIfName its peer on the host.
	IfName, HostIfName string
	// SecondHostIfName takes the place of HostIfName where another interface of the same pod has that one; see Admit.
	// It must belong to this container and IfName alone. Empty: the pod gets no second interface.
	SecondHostIfName string
	// Shared says that another container may have the HostIfName too: one that carries another owner's mark is left to them, and
	// SecondHostIfName is taken. Else it is that of an older sandbox of the same pod, and is replaced.
	Shared bool
	// Netkit asks for a netkit pair in place of a veth pair; where the kernel has none, a veth pair it is.
	Netkit bool
	// MTU of both ends in bytes; 0 leaves the kernel's default.
	MTU int
	// Queues is the number of transmit and receive queues of both ends of a veth pair; 0 means 1. A netkit pair has 1.
	Queues int
	// MAC of the pod's end; nil leaves the choice to the kernel.
	MAC net.HardwareAddr
	// Addrs are the pod's addresses, IPv4, IPv6 or both, each of which gets a host route. At least one.
	Addrs []netip.Addr
	// Routes are the destinations that the pod reaches through its gateways, those of families that it has no address of
	// left out. Nil is the default route of each family.
	Routes []netip.Prefix
	// AllowIPForwarding lets the pod forward packets between its interfaces.
	AllowIPForwarding bool
	// NoHostRoutes leaves out the routes on the host (the target of a live migration gets them later).
	NoHostRoutes bool
}

// Kind says what an attachment is made of, in the kernel's words.
type Kind string

// The kinds of a Linux data plane.
const (
	Veth   Kind = "veth"
	Netkit Kind = "netkit"
)

// Endpoint is one attachment as it came to be.
type Endpoint struct {
	IfName, HostIfName string
	Kind               Kind
	// MAC of the pod's end.
	MAC net.HardwareAddr
	// MTU of the pod's end in bytes.
	MTU int
}

// Target names an attachment that shall go.
type Target struct {
	// Owner is the IPAM handle as in the Spec; a host interface that carries another mark is left alone.
	Owner string
	// ContainerID ends the Owner, and those of the container's attachments in other networks. Alone it was the mark that older
	// versions of this data plane left on HostIfName; it counts as this target's.
	ContainerID string
	// NetNS is the path of the pod's network namespace; empty, or a path that is gone, when only the host's side can be left.
	NetNS string
	// IfName is the interface in the pod, HostIfName or SecondHostIfName its peer on the host.
	IfName, HostIfName, SecondHostIfName string
	// Unmarked says that an attachment of the workload without a mark, as Calico leaves its own, belongs to this
	// target's container. Without it such an attachment stays, unless another one in NetNS carries a mark of the
	// container. On the host's side alone an interface that is down stays as well: an older version may be setting it
	// up.
	Unmarked bool
}

// Others says which other interfaces a target's container still has: of the same owner, and so in its network, and of owners in
// other networks, by their marks.
type Others struct{ InNetwork, Elsewhere bool }

// Attachment is the host's end of one attachment, by the mark that it carries.
type Attachment struct {
	// Owner and IfName are empty for an interface whose Setup is running, or was killed before it could set the mark. Only a
	// Teardown that names the owner can tell that the interface is the owner's.
	Owner, IfName, HostIfName string
	// Fault says why the pod behind it suffers although nobody touched the pod, and the cure; empty when all is well.
	Fault string
}

// Interface is a data plane. Setup undoes itself when it fails; Teardown of what is not there is a success.
type Interface interface {
	// Admit returns the spec as Setup shall get it: with HostIfName replaced by SecondHostIfName where another interface of
	// the same pod has HostIfName. It returns the error that Setup would refuse a spec with, before anything is done for it
	// elsewhere: for what the spec says, or for what is there already. ErrIfNameTaken: the interface is there, or there is no
	// second name to go by. It changes nothing. Of the addresses only the families count; there may be none yet.
	Admit(ctx context.Context, spec Spec) (Spec, error)
	// Setup makes the attachment. It returns an error that wraps ErrNoNetNS, ErrHostNetNS, ErrIfNameTaken, ErrRouteConflict (as a
	// *RouteConflictError), ErrSpec or ErrNoIPv6 where these apply.
	Setup(ctx context.Context, spec Spec) (Endpoint, error)
	// Teardown removes the attachment as far as it is there and belongs to the target's owner, and reports which others of its
	// container the host still has. With an error, what is false may be so because nobody knows.
	Teardown(ctx context.Context, target Target) (Others, error)
	// Check compares what is there with the spec, whose HostIfName may be the one of either name, and changes nothing. The
	// error wraps ErrBroken and lists every difference, in the same order each time; ErrNoNetNS when the namespace is gone.
	// What chained plugins add or lower is no difference, nor is what Calico's own plugin leaves out.
	Check(ctx context.Context, spec Spec) error
	// List returns all attachments of this data plane on the host, sorted by HostIfName.
	List(ctx context.Context) ([]Attachment, error)
}
