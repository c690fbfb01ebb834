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
	// ErrIfNameTaken: the pod already has an interface of the wanted name; it was left as it is.
	ErrIfNameTaken = errors.New("interface name is taken")
	// ErrRouteConflict: the host already routes one of the addresses through another interface.
	ErrRouteConflict = errors.New("host route belongs to another interface")
	// ErrSpec: the wish itself cannot be fulfilled by any kernel.
	ErrSpec = errors.New("attachment cannot be made")
	// ErrNoIPv6: the kernel runs without IPv6, but the pod has an IPv6 address.
	ErrNoIPv6 = errors.New("the kernel has no IPv6")
)

// Spec is one attachment as it shall be.
type Spec struct {
	// Owner is the container ID; the host interface carries it (as its alias) so that a teardown
	// for an older sandbox of the same pod can tell that the interface is no longer its own.
	Owner string
	// NetNS is the path of the pod's network namespace.
	NetNS string
	// IfName is the interface in the pod, HostIfName its peer on the host.
	IfName, HostIfName string
	// MTU of both ends in bytes; 0 leaves the kernel's default.
	MTU int
	// Queues is the number of transmit and receive queues of both ends; 0 means 1.
	Queues int
	// MAC of the pod's end; nil leaves the choice to the kernel.
	MAC net.HardwareAddr
	// Addrs are the pod's addresses, IPv4, IPv6 or both, each of which gets a host route. At least one.
	Addrs []netip.Addr
	// AllowIPForwarding lets the pod forward packets between its interfaces.
	AllowIPForwarding bool
	// NoHostRoutes leaves out the routes on the host (the target of a live migration gets them later).
	NoHostRoutes bool
}

// Endpoint is one attachment as it came to be.
type Endpoint struct {
	IfName, HostIfName string
	// MAC of the pod's end.
	MAC net.HardwareAddr
	// MTU of the pod's end in bytes.
	MTU int
}

// Target names an attachment that shall go.
type Target struct {
	// Owner is the container ID; a host interface that carries another owner is left alone.
	Owner string
	// NetNS is the path of the pod's network namespace; empty, or a path that is gone, when only the host's side can be left.
	NetNS string
	// IfName is the interface in the pod, HostIfName its peer on the host.
	IfName, HostIfName string
	// Unmarked takes a host interface that carries no owner at all for the target's: somebody who knows says so. Calico
	// leaves its interfaces so, and a crash may.
	Unmarked bool
}

// Interface is a data plane. Setup undoes itself when it fails; Teardown of what is not there is a success.
type Interface interface {
	// Admit returns the error that Setup would refuse a spec with, before anything is done for it elsewhere: for what the
	// spec says, or for what is in the pod already. It changes nothing. Of the addresses only the families count; there may be none yet.
	Admit(ctx context.Context, spec Spec) error
	// Setup makes the attachment. It returns an error that wraps ErrNoNetNS, ErrIfNameTaken, ErrRouteConflict, ErrSpec or ErrNoIPv6 where these apply.
	Setup(ctx context.Context, spec Spec) (Endpoint, error)
	// Teardown removes the attachment as far as it is there and belongs to the target's owner.
	Teardown(ctx context.Context, target Target) error
}
