// SPDX-License-Identifier: Apache-2.0

// Package bgp defines the contents of the objects that configure BGP between nodes and with routers outside the
// cluster: BGPConfiguration, BGPPeer and BGPFilter. They are the same in the API groups crd.projectcalico.org and
// projectcalico.org.
//
// +kubebuilder:object:generate=true
// +kubebuilder:validation:Optional
package bgp
