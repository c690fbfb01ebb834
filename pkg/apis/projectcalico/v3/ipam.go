// SPDX-License-Identifier: Apache-2.0

package v3

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"calico-cni/pkg/apis/crd/v1/spec"
	v3spec "calico-cni/pkg/apis/projectcalico/v3/spec"
)

// BlockAffinity is the claim of a node on a block. Its name is "<node>-<name of the block>".
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,path=blockaffinities,singular=blockaffinity,shortName=affinity;affinities
// +kubebuilder:printcolumn:name=CIDR,type=string,JSONPath=.spec.cidr
// +kubebuilder:printcolumn:name=Node,type=string,JSONPath=.spec.node
// +kubebuilder:printcolumn:name=Type,type=string,JSONPath=.spec.type
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=.metadata.creationTimestamp
type BlockAffinity struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the content of the object.
	Spec v3spec.BlockAffinity `json:"spec"`
}

// BlockAffinityList is a list of these objects.
//
// +kubebuilder:object:root=true
type BlockAffinityList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []BlockAffinity `json:"items"`
}

// IPAMBlock is a CIDR from which addresses are allocated. Its name is the CIDR with each of ".", ":" and "/" replaced
// by "-".
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,path=ipamblocks,singular=ipamblock
// +kubebuilder:printcolumn:name=CIDR,type=string,JSONPath=.spec.cidr
// +kubebuilder:printcolumn:name=Affinity,type=string,JSONPath=.spec.affinity
// +kubebuilder:printcolumn:name=ClaimTime,type=date,JSONPath=.spec.affinityClaimTime
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=.metadata.creationTimestamp
type IPAMBlock struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the content of the object.
	// +kubebuilder:validation:XValidation:rule="!has(self.affinity) || self.affinity.matches('^(host|virtual):[a-zA-Z0-9.\\\\-_]+$')",message="affinity must be host: or virtual: and a name"
	Spec spec.IPAMBlock `json:"spec"`
}

// IPAMBlockList is a list of these objects.
//
// +kubebuilder:object:root=true
type IPAMBlockList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []IPAMBlock `json:"items"`
}

// IPAMHandle counts the addresses of one owner by block.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,path=ipamhandles,singular=ipamhandle
// +kubebuilder:printcolumn:name=ID,type=string,JSONPath=.spec.handleID
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=.metadata.creationTimestamp
type IPAMHandle struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the content of the object.
	Spec spec.IPAMHandle `json:"spec"`
}

// IPAMHandleList is a list of these objects.
//
// +kubebuilder:object:root=true
type IPAMHandleList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []IPAMHandle `json:"items"`
}

// IPAMConfiguration configures IPAM for the whole cluster. Only the object named "default" is used.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,path=ipamconfigurations,singular=ipamconfiguration,shortName=ipamconfig;ipamconfigs
// +kubebuilder:printcolumn:name=StrictAffinity,type=boolean,JSONPath=.spec.strictAffinity
// +kubebuilder:printcolumn:name=MaxBlocksPerHost,type=integer,JSONPath=.spec.maxBlocksPerHost
// +kubebuilder:printcolumn:name=AutoAllocateBlocks,type=boolean,JSONPath=.spec.autoAllocateBlocks
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=.metadata.creationTimestamp
type IPAMConfiguration struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the content of the object.
	Spec v3spec.IPAMConfiguration `json:"spec"`
}

// IPAMConfigurationList is a list of these objects.
//
// +kubebuilder:object:root=true
type IPAMConfigurationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []IPAMConfiguration `json:"items"`
}
