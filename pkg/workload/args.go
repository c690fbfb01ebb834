// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"fmt"
	"net/netip"
	"strings"
)

// Args is the content of CNI_ARGS. Fields without a key are empty.
type Args struct {
	// Pod and Namespace name the Kubernetes pod. UID distinguishes it from an earlier or later pod of the same name.
	Pod, Namespace, UID string
	// InfraContainerID is the sandbox's container ID, which Kubernetes runtimes repeat here.
	InfraContainerID string
	// IP is the specific address that the caller requests.
	IP netip.Addr
	// TestNamespace is CNI_TEST_NAMESPACE, which only Calico's own tests set.
	TestNamespace string
}

// ParseArgs reads the value of CNI_ARGS: "KEY=VALUE" pairs separated by semicolons. The last pair of a key counts. A
// value may contain "=". A key without a field in Args is an error unless one of the pairs is IgnoreUnknown=1 (or
// true). Every error wraps ErrInvalidArgs and names CNI_ARGS.
//
// Source: the CNI conventions, "CNI_ARGS".
func ParseArgs(text string) (Args, error) {
	var args Args
	if text == "" {
		return args, nil
	}
	unknown, ignore := "", false
	for i, pair := range strings.Split(text, ";") {
		key, value, found := strings.Cut(pair, "=")
		if !found || key == "" {
			return Args{}, fmt.Errorf("%w: CNI_ARGS: pair %d: want KEY=VALUE pairs separated by semicolons",
				ErrInvalidArgs, i+1)
		}
		known, err := args.set(key, value, &ignore)
		if err != nil {
			return Args{}, err
		}
		if !known && unknown == "" {
			unknown = key
		}
	}
	if unknown != "" && !ignore {
		return Args{}, fmt.Errorf("%w: CNI_ARGS: unknown key %q: remove it, or add IgnoreUnknown=1", ErrInvalidArgs,
			unknown)
	}
	return args, nil
}

// set stores one pair and reports whether it knows the key.
func (a *Args) set(key, value string, ignore *bool) (known bool, err error) {
	switch key {
	case "K8S_POD_NAME":
		a.Pod = value
	case "K8S_POD_NAMESPACE":
		a.Namespace = value
	case "K8S_POD_UID":
		a.UID = value
	case "K8S_POD_INFRA_CONTAINER_ID":
		a.InfraContainerID = value
	case "CNI_TEST_NAMESPACE":
		a.TestNamespace = value
	case "IP":
		a.IP, err = parseIP(value)
	case "IgnoreUnknown":
		*ignore, err = parseBool(key, value)
	default:
		return false, nil
	}
	return true, err
}

func parseIP(value string) (netip.Addr, error) {
	if value == "" {
		return netip.Addr{}, nil
	}
	addr, err := netip.ParseAddr(value)
	if err != nil || addr.Zone() != "" {
		return netip.Addr{}, fmt.Errorf("%w: CNI_ARGS: IP=%q: want one IPv4 or IPv6 address without prefix length "+
			"or zone", ErrInvalidArgs, value)
	}
	return addr.Unmap(), nil
}

func parseBool(key, value string) (bool, error) {
	switch strings.ToLower(value) {
	case "1", "true":
		return true, nil
	case "0", "false":
		return false, nil
	}
	return false, fmt.Errorf("%w: CNI_ARGS: %s=%q: want 1, true, 0 or false", ErrInvalidArgs, key, value)
}
