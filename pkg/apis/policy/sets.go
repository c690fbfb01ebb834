// SPDX-License-Identifier: Apache-2.0

package policy

// NetworkSet is the content of a NetworkSet or a GlobalNetworkSet object. Rules select it by the labels of the object.
type NetworkSet struct {
	// Nets are CIDRs and addresses.
	// +listType=set
	Nets []string `json:"nets,omitempty"`
}
