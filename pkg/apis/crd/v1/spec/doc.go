// SPDX-License-Identifier: Apache-2.0

// Package spec defines the contents of the objects of the API group crd.projectcalico.org, version v1, which Calico and
// this project both read and write. It imports no package of Kubernetes, because a plugin that starts for every pod
// must start fast. JSON names are exact. Unknown fields are kept in Unknown and written back, because a newer writer
// may have added them.
//
// The schemas generated from these types are never stricter than what Calico writes. Their rules on CIDRs need a
// Kubernetes API server of version 1.31 or later.
//
// +kubebuilder:object:generate=true
package spec
