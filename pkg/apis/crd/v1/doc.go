// Package v1 has the objects of the API group crd.projectcalico.org, version v1, for generic clients, and for the
// CustomResourceDefinitions that are made of them: each is the contents that package spec has, and Kubernetes' metadata.
// No binary uses it.
//
// +kubebuilder:object:generate=true
// +groupName=crd.projectcalico.org
package v1
