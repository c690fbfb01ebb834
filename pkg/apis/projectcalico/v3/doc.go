// SPDX-License-Identifier: Apache-2.0

// Package v3 defines the objects of the API group projectcalico.org, version v3, for generic clients and for the
// generated CustomResourceDefinitions. Each object combines a content, which other packages of pkg/apis define, with
// the metadata of Kubernetes.
//
// +kubebuilder:object:generate=true
// +groupName=projectcalico.org
package v3
