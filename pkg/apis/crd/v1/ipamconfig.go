// SPDX-License-Identifier: Apache-2.0

package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"calico-cni/pkg/apis/crd/v1/spec"
)

// IPAMConfig configures IPAM for the whole cluster. Only the object named "default" is used.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,path=ipamconfigs,singular=ipamconfig
type IPAMConfig struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the content of the object.
	Spec spec.IPAMConfig `json:"spec,omitempty"`

	Unknown spec.Unknown `json:"-"`
}

// IPAMConfigList is a list of these objects.
//
// +kubebuilder:object:root=true
type IPAMConfigList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []IPAMConfig `json:"items"`
}

// UnmarshalJSON keeps unknown fields.
func (o *IPAMConfig) UnmarshalJSON(data []byte) error {
	type plain IPAMConfig
	return spec.Decode(data, (*plain)(o), &o.Unknown)
}

// MarshalJSON writes the unknown fields as well.
func (o IPAMConfig) MarshalJSON() ([]byte, error) {
	type plain IPAMConfig
	return spec.Encode(plain(o), o.Unknown)
}
