// SPDX-License-Identifier: Apache-2.0

// Package felix defines the content of a FelixConfiguration object, the configuration of the node agent. It is the same
// in the API groups crd.projectcalico.org and projectcalico.org.
//
// The object "default" is for the cluster, an object "node.<name>" for one node, and any other object for the nodes
// that its nodeSelector selects. An absent or empty field falls back to the next of these, and finally to the default.
// Some fields have no effect in this project; they are here because a schema removes fields that it does not name.
//
// +kubebuilder:object:generate=true
// +kubebuilder:validation:Optional
package felix
