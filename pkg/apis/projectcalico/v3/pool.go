// SPDX-License-Identifier: Apache-2.0

package v3

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	crdv1 "calico-cni/pkg/apis/crd/v1"
	"calico-cni/pkg/apis/crd/v1/spec"
)

// IPPool is a range of addresses that is divided into blocks.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,path=ippools,singular=ippool
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name=CIDR,type=string,JSONPath=.spec.cidr
// +kubebuilder:printcolumn:name=VXLAN,type=string,JSONPath=.spec.vxlanMode
// +kubebuilder:printcolumn:name=IPIP,type=string,JSONPath=.spec.ipipMode
// +kubebuilder:printcolumn:name=NAT,type=boolean,JSONPath=.spec.natOutgoing
// +kubebuilder:printcolumn:name=Allocatable,type=string,JSONPath=".status.conditions[?(@.type=='Allocatable')].status"
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=.metadata.creationTimestamp
type IPPool struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the content of the object.
	Spec spec.IPPool `json:"spec"`

	// Status is written by controllers and agents.
	// +optional
	Status crdv1.IPPoolStatus `json:"status,omitzero"`
}

// IPPoolList is a list of these objects.
//
// +kubebuilder:object:root=true
type IPPoolList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []IPPool `json:"items"`
}

// IPReservation excludes addresses from automatic allocation.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,path=ipreservations,singular=ipreservation
type IPReservation struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the content of the object.
	Spec spec.IPReservation `json:"spec"`
}

// IPReservationList is a list of these objects.
//
// +kubebuilder:object:root=true
type IPReservationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []IPReservation `json:"items"`
}

// ClusterInformation describes the cluster. Only the object named "default" is used.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,path=clusterinformations,singular=clusterinformation,shortName=clusterinfo;clusterinfos
// +kubebuilder:printcolumn:name=Version,type=string,JSONPath=.spec.calicoVersion
// +kubebuilder:printcolumn:name=Ready,type=boolean,JSONPath=.spec.datastoreReady
// +kubebuilder:printcolumn:name=Types,type=string,JSONPath=.spec.clusterType
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=.metadata.creationTimestamp
type ClusterInformation struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the content of the object.
	Spec spec.ClusterInformation `json:"spec"`
}

// ClusterInformationList is a list of these objects.
//
// +kubebuilder:object:root=true
type ClusterInformationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ClusterInformation `json:"items"`
}
