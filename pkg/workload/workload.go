// SPDX-License-Identifier: Apache-2.0

// Package workload identifies the workload of a network attachment: the container and its interface, the Kubernetes pod
// if there is one, and the names derived from these (the IPAM handle and the host interface). These names are a
// contract with Calico: its node agent finds a pod's interface by them.
package workload

import (
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
)

// ErrInvalidArgs is wrapped by every error of this package. The runtime, or the node's environment, passed an invalid
// value to the plugin. The message names the variable.
var ErrInvalidArgs = errors.New("invalid arguments")

// ID identifies one attachment.
type ID struct {
	// ContainerID and IfName are the attachment's key in CNI: CNI_CONTAINERID and CNI_IFNAME.
	ContainerID, IfName string
	// Namespace and Pod are both set or, outside Kubernetes, both empty. PodUID may be empty.
	Namespace, Pod, PodUID string
}

// Identify validates the identity of an attachment. A pod without a namespace, a namespace without a pod, and names
// that Kubernetes rejects are errors that wrap ErrInvalidArgs, because the names become part of API paths and of names
// on the host.
//
// Source: CNI specification 1.1.0, section 2, "Parameters", for the container ID and the interface name; dev_valid_name
// of the kernel for the interface name.
func Identify(containerID, ifName string, args Args) (ID, error) {
	if !validContainerID(containerID) {
		return ID{}, fmt.Errorf("%w: CNI_CONTAINERID %q: want a letter or digit, then letters, digits and any of _.-",
			ErrInvalidArgs, containerID)
	}
	if !validIfName(ifName) {
		return ID{}, fmt.Errorf("%w: CNI_IFNAME %q: want 1 to %d bytes, not . or .., without slash, colon or space",
			ErrInvalidArgs, ifName, maxIfName)
	}
	if (args.Pod == "") != (args.Namespace == "") {
		return ID{}, fmt.Errorf("%w: CNI_ARGS: K8S_POD_NAMESPACE=%q with K8S_POD_NAME=%q: want both or neither",
			ErrInvalidArgs, args.Namespace, args.Pod)
	}
	id := ID{ContainerID: containerID, IfName: ifName, Namespace: args.Namespace, Pod: args.Pod, PodUID: args.UID}
	if !id.Kubernetes() {
		return id, nil
	}
	if !validLabel(id.Namespace) {
		return ID{}, fmt.Errorf("%w: CNI_ARGS: K8S_POD_NAMESPACE=%q is not the name of a namespace: want up to 63 "+
			"lower-case letters, digits and -", ErrInvalidArgs, id.Namespace)
	}
	if !ValidSubdomain(id.Pod) {
		return ID{}, fmt.Errorf("%w: CNI_ARGS: K8S_POD_NAME=%q is not the name of a pod: want lower-case letters, "+
			"digits, hyphens and dots", ErrInvalidArgs, id.Pod)
	}
	return id, nil
}

// ForRelease identifies the attachment of a DEL. It accepts arguments that an ADD rejects: without a readable pod the
// attachment is released by its container ID, which identifies all its resources. An error wraps ErrInvalidArgs.
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

// Kubernetes reports whether the attachment belongs to a pod.
func (id ID) Kubernetes() bool { return id.Pod != "" }

// String returns "namespace/pod" and the container ID or, outside Kubernetes, the container ID alone. Logs use it.
func (id ID) String() string {
	if !id.Kubernetes() {
		return id.ContainerID
	}
	return id.Namespace + "/" + id.Pod + " (" + id.ContainerID + ")"
}

// HandleID returns the IPAM handle of the attachment in a network: "<network>.<container ID>".
func (id ID) HandleID(network string) string { return network + "." + id.ContainerID }

// LegacyHandleID returns the handle that old versions of Calico used: "<namespace>.<pod>" or, outside Kubernetes, the
// container ID. A release must look it up as well.
func (id ID) LegacyHandleID() string {
	if !id.Kubernetes() {
		return id.ContainerID
	}
	return id.Namespace + "." + id.Pod
}

// HostIfName returns the name of the host end: prefix (see ParsePrefix) and the first 11 hexadecimal digits of the
// SHA-1 of "<namespace>.<pod>". Outside Kubernetes it is prefix and the first 11 characters of the container ID, or the
// whole ID if it is shorter. It is the same for all containers and interfaces of a pod.
func (id ID) HostIfName(prefix string) string {
	if !id.Kubernetes() {
		return prefix + id.ContainerID[:min(len(id.ContainerID), suffixLength)]
	}
	sum := sha1.Sum([]byte(id.Namespace + "." + id.Pod))
	return prefix + hex.EncodeToString(sum[:])[:suffixLength]
}

// SecondHostIfName returns the name of the host end of a further interface of a container, used if another interface
// has HostIfName: prefix and the first 11 hexadecimal digits of the SHA-1 of "<container ID>/<interface>". Calico has
// no such name.
func (id ID) SecondHostIfName(prefix string) string {
	sum := sha1.Sum([]byte(id.ContainerID + "/" + id.IfName))
	return prefix + hex.EncodeToString(sum[:])[:suffixLength]
}

// StatusFileName returns the name of the file with which the node agent reports that the network of a pod's interface
// is ready.
func (id ID) StatusFileName() string {
	return "k8s " + url.PathEscape(id.Namespace+"/"+id.Pod) + " " + url.PathEscape(id.IfName)
}
