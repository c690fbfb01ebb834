// Package spec has the contents of the objects of the API group crd.projectcalico.org, version v1, as Calico and this
// project both read and write them, without anything of Kubernetes' own packages: a plugin that is started for every pod
// cannot pay for those. JSON names are exact. A field that a type does not know is kept in Unknown and written back: a
// newer writer may have put it there.
//
// The schemas made from these types are never stricter than what Calico writes. Their rules on CIDRs take a
// Kubernetes API server of version 1.31 or later.
//
// +kubebuilder:object:generate=true
package spec
