// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"fmt"
	"strings"
	"unicode"
)

const (
	// maxIfName is the kernel's IFNAMSIZ without the terminating zero.
	maxIfName = 15
	// suffixLength is the length of a host interface name after the prefix.
	suffixLength = 11
	// defaultPrefix is the default prefix of host interface names.
	defaultPrefix = "cali"
)

// ParsePrefix reads the value of FELIX_INTERFACEPREFIX and returns the prefix of host interface names: the first of the
// comma-separated values, or "cali" if that is empty. An error wraps ErrInvalidArgs. A prefix has at most 4 characters,
// because 11 follow it and an interface name holds 15.
func ParsePrefix(env string) (string, error) {
	first, _, _ := strings.Cut(env, ",")
	prefix := strings.TrimSpace(first)
	if prefix == "" {
		return defaultPrefix, nil
	}
	if len(prefix) > maxIfName-suffixLength {
		return "", fmt.Errorf("%w: FELIX_INTERFACEPREFIX %q: want at most %d characters, because %d more follow and "+
			"an interface name holds %d",
			ErrInvalidArgs, prefix, maxIfName-suffixLength, suffixLength, maxIfName)
	}
	if !every(prefix, isNameByte) {
		return "", fmt.Errorf("%w: FELIX_INTERFACEPREFIX %q: want letters, digits and any of _.-", ErrInvalidArgs,
			prefix)
	}
	return prefix, nil
}

func validContainerID(s string) bool {
	return s != "" && isAlphanumeric(s[0]) && every(s, isNameByte)
}

func validIfName(s string) bool {
	switch s {
	// lo is the loopback interface; all and default are directories beside those of the interfaces in /proc/sys/net.
	case "", ".", "..", "lo", "all", "default":
		return false
	}
	if len(s) > maxIfName {
		return false
	}
	// The kernel expands a percent sign as a template.
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r == '%' || r == '/' || r == ':' || r == 0 || unicode.IsSpace(r)
	})
}

// validLabel reports whether s is a lower-case DNS label (RFC 1123), which Kubernetes requires of a namespace.
func validLabel(s string) bool {
	return len(s) <= 63 && s != "" && isAlphanumeric(s[0]) && isAlphanumeric(s[len(s)-1]) && every(s, isLabelByte)
}

// ValidSubdomain reports whether s is a lower-case DNS subdomain name (RFC 1123), which Kubernetes requires of a pod.
// As in Kubernetes, its labels may be longer than DNS allows.
func ValidSubdomain(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || !isAlphanumeric(label[0]) || !isAlphanumeric(label[len(label)-1]) ||
			!every(label, isLabelByte) {
			return false
		}
	}
	return len(s) <= 253
}

// MaxNetwork is the maximum length of a network name in bytes. The alias of a host interface has at most 255 bytes. It
// contains the handle (the network name, a dot and a container ID of 64 digits), a slash and an interface name.
const MaxNetwork = 255 - 1 - maxIfName - 1 - 64

// ValidNetwork reports whether block IPAM can allocate addresses for a network. The name, in lower case, is the prefix
// of the names of IPAMHandles and of aliases. The CNI specification allows more, such as an underscore or a trailing
// dot.
func ValidNetwork(name string) bool {
	return ValidSubdomain(strings.ToLower(name)) && len(name) <= MaxNetwork
}

func every(s string, ok func(byte) bool) bool {
	for i := range len(s) {
		if !ok(s[i]) {
			return false
		}
	}
	return true
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

func isNameByte(c byte) bool {
	return isAlphanumeric(c) || c == '_' || c == '.' || c == '-'
}

func isLabelByte(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-'
}
