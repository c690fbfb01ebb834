// SPDX-License-Identifier: Apache-2.0

package spec

// ClusterInformation is the content of a ClusterInformation object.
//
// +kubebuilder:pruning:PreserveUnknownFields
type ClusterInformation struct {
	// ClusterGUID identifies the cluster.
	// +optional
	ClusterGUID string `json:"clusterGUID,omitempty"`
	// ClusterType lists the components of the cluster.
	// +optional
	ClusterType string `json:"clusterType,omitempty"`
	// CalicoVersion is the version of Calico that the cluster runs.
	// +optional
	CalicoVersion string `json:"calicoVersion,omitempty"`
	// DatastoreReady is false during an upgrade or a migration. No address may then be allocated or released.
	// +optional
	// +nullable
	DatastoreReady *bool `json:"datastoreReady,omitempty"`
	// Variant of the product.
	// +optional
	Variant string `json:"variant,omitempty"`

	Unknown Unknown `json:"-"`
}

// UnmarshalJSON keeps unknown fields.
func (s *ClusterInformation) UnmarshalJSON(data []byte) error {
	type plain ClusterInformation
	return Decode(data, (*plain)(s), &s.Unknown)
}

// MarshalJSON writes the unknown fields as well.
func (s ClusterInformation) MarshalJSON() ([]byte, error) {
	type plain ClusterInformation
	return Encode(plain(s), s.Unknown)
}
