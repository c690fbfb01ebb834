// Package workload says who a network attachment is for: the container and its interface, the Kubernetes pod if it is
// one, and the names that follow from these: of the IPAM handle and of the interface on the host. Those names are a
// contract with Calico, whose node agent finds a pod's interface by them.
package workload

import (
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
)

// ErrInvalidArgs is wrapped by every error of this package: the runtime, or the node's environment, called the plugin
// with something it cannot take. The message names the variable.
var ErrInvalidArgs = errors.New("invalid arguments")

// ID is one attachment.
type ID struct {
	// ContainerID and IfName are the attachment's key in CNI: CNI_CONTAINERID and CNI_IFNAME.
	ContainerID, IfName string
	// Namespace and Pod are both set or, outside Kubernetes, both empty. PodUID may be empty.
	Namespace, Pod, PodUID string
}

// Identify checks who the attachment is for. A pod without its namespace, the reverse, and names that Kubernetes would
// not have accepted are errors that wrap ErrInvalidArgs: they end up in paths of the API and names on the host.
//
// Source: CNI specification 1.1.0, section 2, "Parameters", for the container ID and the interface name; dev_valid_name of
// the kernel for the latter.
func Identify(containerID, ifName string, args Args) (ID, error) {
	if !validContainerID(containerID) {
		return ID{}, fmt.Errorf("%w: CNI_CONTAINERID %q: want a letter or digit, then letters, digits and any of _.-", ErrInvalidArgs, containerID)
	}
	if !validIfName(ifName) {
		return ID{}, fmt.Errorf("%w: CNI_IFNAME %q: want 1 to %d bytes, not . or .., without slash, colon or space", ErrInvalidArgs, ifName, maxIfName)
	}
	if (args.Pod == "") != (args.Namespace == "") {
		return ID{}, fmt.Errorf("%w: CNI_ARGS: K8S_POD_NAMESPACE=%q with K8S_POD_NAME=%q: want both or neither", ErrInvalidArgs, args.Namespace, args.Pod)
	}
	id := ID{ContainerID: containerID, IfName: ifName, Namespace: args.Namespace, Pod: args.Pod, PodUID: args.UID}
	if !id.Kubernetes() {
		return id, nil
	}
	if !validLabel(id.Namespace) {
		return ID{}, fmt.Errorf("%w: CNI_ARGS: K8S_POD_NAMESPACE=%q is not the name of a namespace: want up to 63 lower-case letters, digits and -", ErrInvalidArgs, id.Namespace)
	}
	if !ValidSubdomain(id.Pod) {
		return ID{}, fmt.Errorf("%w: CNI_ARGS: K8S_POD_NAME=%q is not the name of a pod: want lower-case letters, digits, hyphens and dots", ErrInvalidArgs, id.Pod)
	}
	return id, nil
}

// ForRelease reads who a DEL is for. Arguments that an ADD would refuse are made do with: an attachment whose pod cannot be
// read from them is released by its container ID, which all that it holds hangs on. An error wraps ErrInvalidArgs.
func ForRelease(containerID, ifName, args string) (ID, error) {
	parsed, err := ParseArgs(args)
	if err == nil {
		if id, err := Identify(containerID, ifName, parsed); err == nil {
			return id, nil
		}
	}
	if parsed, err = ParseArgs("IgnoreUnknown=1;" + args); err != nil {
		parsed = Args{}
	}
	if id, err := Identify(containerID, ifName, parsed); err == nil {
		return id, nil
	}
	return Identify(containerID, ifName, Args{})
}

// Kubernetes reports whether the attachment is a pod's.
func (id ID) Kubernetes() bool { return id.Pod != "" }

// String returns "namespace/pod" and the container ID, or this alone outside Kubernetes: what a log calls the attachment.
func (id ID) String() string {
	if !id.Kubernetes() {
		return id.ContainerID
	}
	return id.Namespace + "/" + id.Pod + " (" + id.ContainerID + ")"
}

// HandleID is the IPAM handle that holds the attachment's addresses in a network: "<network>.<container ID>".
func (id ID) HandleID(network string) string { return network + "." + id.ContainerID }

// LegacyHandleID is the handle that old versions of Calico used, "<namespace>.<pod>", which a release has to look for
// too. It is empty outside Kubernetes.
func (id ID) LegacyHandleID() string {
	if !id.Kubernetes() {
		return ""
	}
	return id.Namespace + "." + id.Pod
}

// HostIfName names the host's end of the attachment: prefix, as ParsePrefix returns it, and the first 11 hex digits of
// the SHA-1 of "<namespace>.<pod>"; outside Kubernetes, prefix and the first 11 characters of the container ID, or all
// of it when it is shorter. It is the same for every container of a pod, and for every interface in it.
func (id ID) HostIfName(prefix string) string {
	if !id.Kubernetes() {
		return prefix + id.ContainerID[:min(len(id.ContainerID), suffixLength)]
	}
	sum := sha1.Sum([]byte(id.Namespace + "." + id.Pod))
	return prefix + hex.EncodeToString(sum[:])[:suffixLength]
}

// SecondHostIfName names the host's end of a further interface of a container, when HostIfName is taken by its first:
// prefix and the first 11 hex digits of the SHA-1 of "<container ID>/<interface>". Calico has no such name.
func (id ID) SecondHostIfName(prefix string) string {
	sum := sha1.Sum([]byte(id.ContainerID + "/" + id.IfName))
	return prefix + hex.EncodeToString(sum[:])[:suffixLength]
}
