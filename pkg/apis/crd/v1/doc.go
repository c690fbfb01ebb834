// SPDX-License-Identifier: Apache-2.0

// Package v1 defines the objects of the API group crd.projectcalico.org, version v1, for generic clients and for the
// generated CustomResourceDefinitions. Each object combines a content, which package spec or another package of
// pkg/apis defines, with the metadata of Kubernetes. No binary uses this package.
//
// +kubebuilder:object:generate=true
// +groupName=crd.projectcalico.org
package v1
