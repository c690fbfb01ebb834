package v1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ClusterInformation describes the cluster. The one that counts is named "default".
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,path=clusterinformations,singular=clusterinformation
type ClusterInformation struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the whole of the object.
	Spec ClusterInformationSpec `json:"spec,omitempty"`

	Unknown Unknown `json:"-"`
}

// ClusterInformationSpec is the description.
//
// +kubebuilder:pruning:PreserveUnknownFields
type ClusterInformationSpec struct {
	// ClusterGUID identifies the cluster.
	// +optional
	ClusterGUID string `json:"clusterGUID,omitempty"`
	// ClusterType lists what the cluster is made of.
	// +optional
	ClusterType string `json:"clusterType,omitempty"`
	// CalicoVersion is the version of Calico that the cluster runs.
	// +optional
	CalicoVersion string `json:"calicoVersion,omitempty"`
	// DatastoreReady is false while an upgrade or a migration is in progress, and nothing may be assigned or released.
	// +optional
	// +nullable
	DatastoreReady *bool `json:"datastoreReady,omitempty"`
	// Variant of the product.
	// +optional
	Variant string `json:"variant,omitempty"`

	Unknown Unknown `json:"-"`
}

// ClusterInformationList is a list of these objects.
//
// +kubebuilder:object:root=true
type ClusterInformationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ClusterInformation `json:"items"`
}

// UnmarshalJSON keeps the fields that the type does not know.
func (s *ClusterInformationSpec) UnmarshalJSON(data []byte) error {
	type plain ClusterInformationSpec
	return decode(data, (*plain)(s), &s.Unknown)
}

// MarshalJSON writes the unknown fields as well.
func (s ClusterInformationSpec) MarshalJSON() ([]byte, error) {
	type plain ClusterInformationSpec
	return encode(plain(s), s.Unknown)
}

// UnmarshalJSON keeps the fields that the type does not know.
func (o *ClusterInformation) UnmarshalJSON(data []byte) error {
	type plain ClusterInformation
	return decode(data, (*plain)(o), &o.Unknown)
}

// MarshalJSON writes the unknown fields as well.
func (o ClusterInformation) MarshalJSON() ([]byte, error) {
	type plain ClusterInformation
	return encode(plain(o), o.Unknown)
}
