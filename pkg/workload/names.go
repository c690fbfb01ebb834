package workload

import (
	"fmt"
	"strings"
	"unicode"
)

const (
	// maxIfName is the kernel's IFNAMSIZ without the closing zero.
	maxIfName = 15
	// suffixLength is how much of a host interface name follows the prefix.
	suffixLength = 11
	// defaultPrefix begins host interface names where the environment does not say otherwise.
	defaultPrefix = "cali"
)

// ParsePrefix reads the value of FELIX_INTERFACEPREFIX and returns the prefix of host interface names: the first of the
// comma-separated values, or "cali" when that is empty. An error wraps ErrInvalidArgs; a prefix longer than 4 characters is
// one, as 11 more follow it and an interface name holds 15.
func ParsePrefix(env string) (string, error) {
	first, _, _ := strings.Cut(env, ",")
	prefix := strings.TrimSpace(first)
	if prefix == "" {
		return defaultPrefix, nil
	}
	if len(prefix) > maxIfName-suffixLength {
		return "", fmt.Errorf("%w: FELIX_INTERFACEPREFIX %q: want at most %d characters, for %d more follow and an interface name holds %d",
			ErrInvalidArgs, prefix, maxIfName-suffixLength, suffixLength, maxIfName)
	}
	if !every(prefix, isNameByte) {
		return "", fmt.Errorf("%w: FELIX_INTERFACEPREFIX %q: want letters, digits and any of _.-", ErrInvalidArgs, prefix)
	}
	return prefix, nil
}

func validContainerID(s string) bool {
	return s != "" && isAlphanumeric(s[0]) && every(s, isNameByte)
}

func validIfName(s string) bool {
	switch s {
	// The last three are no names of a file, but of lo itself, and of directories beside an interface's in /proc/sys/net.
	case "", ".", "..", "lo", "all", "default":
		return false
	}
	if len(s) > maxIfName {
		return false
	}
	// The kernel takes a percent sign for a template of a name.
	return !strings.ContainsFunc(s, func(r rune) bool { return r == '%' || r == '/' || r == ':' || r == 0 || unicode.IsSpace(r) })
}

// validLabel reports whether s is a DNS label as RFC 1123 has it, in lower case: what Kubernetes takes for a namespace.
func validLabel(s string) bool {
	return len(s) <= 63 && s != "" && isAlphanumeric(s[0]) && isAlphanumeric(s[len(s)-1]) && every(s, isLabelByte)
}

// ValidSubdomain reports whether s is a DNS subdomain name as RFC 1123 has it, in lower case: what Kubernetes takes for
// a pod. Its labels may be longer than DNS allows, as they may in Kubernetes.
func ValidSubdomain(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || !isAlphanumeric(label[0]) || !isAlphanumeric(label[len(label)-1]) || !every(label, isLabelByte) {
			return false
		}
	}
	return len(s) <= 253
}

// MaxNetwork is the length in bytes up to which the name of a network leaves room for the rest: its handles take a dot and a
// container ID of 64 digits, and the alias of a host interface, which is 255 bytes long at most, has the handle, a slash and
// the name of an interface.
const MaxNetwork = 255 - 1 - maxIfName - 1 - 64

// ValidNetwork reports whether block IPAM can hold addresses for a network: its name begins the names of IPAMHandles, in lower
// case, and of aliases. The CNI specification allows more: an underscore, or a dot at the end.
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
