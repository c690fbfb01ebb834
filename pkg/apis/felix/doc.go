// SPDX-License-Identifier: Apache-2.0

// Package felix has the content of a FelixConfiguration object, the configuration of the node agent. It is the same in
// the API groups crd.projectcalico.org and projectcalico.org.
//
// The object "default" is for the cluster, an object "node.<name>" for one node, and any other object for the nodes
// that its nodeSelector selects. An absent field, and an empty string, mean the next of these, and at last the default.
// Some fields have no effect in this project; they are here because a schema removes fields that it does not name.
//
// +kubebuilder:object:generate=true
// +kubebuilder:validation:Optional
package felix
