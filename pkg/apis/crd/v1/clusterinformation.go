// SPDX-License-Identifier: Apache-2.0

package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"calico-cni/pkg/apis/crd/v1/spec"
)

// ClusterInformation describes the cluster. Only the object named "default" is used.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,path=clusterinformations,singular=clusterinformation
type ClusterInformation struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the content of the object.
	Spec spec.ClusterInformation `json:"spec,omitempty"`

	Unknown spec.Unknown `json:"-"`
}

// ClusterInformationList is a list of these objects.
//
// +kubebuilder:object:root=true
type ClusterInformationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ClusterInformation `json:"items"`
}

// UnmarshalJSON keeps unknown fields.
func (o *ClusterInformation) UnmarshalJSON(data []byte) error {
	type plain ClusterInformation
	return spec.Decode(data, (*plain)(o), &o.Unknown)
}

// MarshalJSON writes the unknown fields as well.
func (o ClusterInformation) MarshalJSON() ([]byte, error) {
	type plain ClusterInformation
	return spec.Encode(plain(o), o.Unknown)
}
