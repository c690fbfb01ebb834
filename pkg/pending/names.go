// SPDX-License-Identifier: Apache-2.0

package pending

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"calico-cni/internal/nodestate"
)

const (
	suffix = ".json"
	// hashPrefix begins a file name that does not show its attachment.
	hashPrefix = "sha256@"
	// brokenSuffix ends the name of a file that contained no release.
	brokenSuffix = ".broken"
	// maxName leaves room for the prefix and suffix of a temporary or broken file: NAME_MAX is 255.
	maxName = 200
)

// fileName returns the file name of an attachment: its three names joined by @, which is in none of them. If a name has
// other characters or the result is too long, the file name is a hash.
func fileName(k nodestate.Key) string {
	name := k.Network + "@" + k.ContainerID + "@" + k.IfName
	if len(name) > maxName || !isCNIName(k.Network) || !isCNIName(k.ContainerID) || !isCNIName(k.IfName) {
		return hashedName("%q %q %q", k.Network, k.ContainerID, k.IfName)
	}
	return name + suffix
}

// otherServerFileName returns the file name of a release if one of its attachment is queued for another API server.
func otherServerFileName(r Release) string {
	return hashedName("%q %q %q of %q %q", r.Network, r.ContainerID, r.IfName, r.Kubeconfig, r.APIRoot)
}

func hashedName(format string, parts ...any) string {
	sum := sha256.Sum256(fmt.Appendf(nil, format, parts...))
	return hashPrefix + hex.EncodeToString(sum[:]) + suffix
}

// isCNIName reports whether s is a name as the CNI specification defines it for networks and containers: a letter or
// digit, followed by letters, digits, underscores, dots and hyphens.
func isCNIName(s string) bool {
	for i := range len(s) {
		c := s[i]
		alphanumeric := '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !alphanumeric && (i == 0 || c != '_' && c != '.' && c != '-') {
			return false
		}
	}
	return s != ""
}

// isHashed reports whether a file name is a hash.
func isHashed(name string) bool { return strings.HasPrefix(name, hashPrefix) }

// isNameOf reports whether a file name that is not a hash is of a container in a network.
func isNameOf(name, network, containerID string) bool {
	return strings.HasPrefix(name, network+"@"+containerID+"@")
}
