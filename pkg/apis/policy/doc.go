// SPDX-License-Identifier: Apache-2.0

// Package policy defines the contents of the objects that say which traffic is allowed: tiers, policies, staged
// policies, sets of networks, and host endpoints. They are the same in the API groups crd.projectcalico.org and
// projectcalico.org.
//
// A field that the schema does not name is refused or removed: a rule that lost a condition would match more than its
// author wrote.
//
// +kubebuilder:object:generate=true
// +kubebuilder:validation:Optional
package policy
