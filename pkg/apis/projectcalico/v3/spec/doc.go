// SPDX-License-Identifier: Apache-2.0

// Package spec defines the contents of those objects of IPAM that differ between the API groups projectcalico.org,
// version v3, and crd.projectcalico.org, version v1. All other contents are those of pkg/apis/crd/v1/spec. Like that
// package, it imports no package of Kubernetes and keeps unknown fields.
//
// +kubebuilder:object:generate=true
package spec
