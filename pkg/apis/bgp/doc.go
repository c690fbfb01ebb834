// SPDX-License-Identifier: Apache-2.0

// Package bgp has the contents of the objects that configure routing between nodes and with the network:
// BGPConfiguration, BGPPeer and BGPFilter. They are the same in the API groups crd.projectcalico.org and
// projectcalico.org.
//
// +kubebuilder:object:generate=true
// +kubebuilder:validation:Optional
package bgp
