// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"net/netip"
	"strings"
)

// BlockName returns the name of the object of a block: "10-0-0-64-26" for 10.0.0.64/26.
func BlockName(cidr netip.Prefix) string {
	return strings.NewReplacer(".", "-", ":", "-", "/", "-").Replace(cidr.String())
}

// OwnerOfBlock returns the affinity of a block from its fields affinity and hostAffinity. It is empty if the block has
// no affinity.
func OwnerOfBlock(affinity, hostAffinity *string) string {
	switch {
	case affinity != nil:
		return *affinity
	case hostAffinity != nil && *hostAffinity != "":
		return AffinityHostPrefix + *hostAffinity
	}
	return ""
}
