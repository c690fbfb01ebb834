// SPDX-License-Identifier: Apache-2.0

package v3

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"calico-cni/pkg/apis/policy"
)

// GlobalNetworkPolicy allows and denies traffic of endpoints of all namespaces, and of host endpoints.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,path=globalnetworkpolicies,singular=globalnetworkpolicy,shortName=gnp;cgnp
// +kubebuilder:printcolumn:name=Tier,type=string,JSONPath=.spec.tier
// +kubebuilder:printcolumn:name=Order,type=number,JSONPath=.spec.order
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=.metadata.creationTimestamp
type GlobalNetworkPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the content of the object.
	Spec policy.GlobalNetworkPolicy `json:"spec"`
}

// GlobalNetworkPolicyList is a list of these objects.
//
// +kubebuilder:object:root=true
type GlobalNetworkPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []GlobalNetworkPolicy `json:"items"`
}

// NetworkPolicy allows and denies traffic of endpoints of its namespace.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Namespaced,path=networkpolicies,singular=networkpolicy,shortName=cnp;caliconetworkpolicy
// +kubebuilder:printcolumn:name=Tier,type=string,JSONPath=.spec.tier
// +kubebuilder:printcolumn:name=Order,type=number,JSONPath=.spec.order
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=.metadata.creationTimestamp
type NetworkPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the content of the object.
	Spec policy.NetworkPolicy `json:"spec"`
}

// NetworkPolicyList is a list of these objects.
//
// +kubebuilder:object:root=true
type NetworkPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []NetworkPolicy `json:"items"`
}

// Tier is a group of policies that is evaluated as a unit.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,path=tiers,singular=tier
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name=Order,type=number,JSONPath=.spec.order
// +kubebuilder:printcolumn:name=DefaultAction,type=string,JSONPath=.spec.defaultAction
// +kubebuilder:printcolumn:name=Status,type=string,JSONPath=".status.conditions[?(@.type=='Ready')].reason"
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=.metadata.creationTimestamp
// +kubebuilder:validation:XValidation:rule="self.metadata.name != 'default' || self.spec.defaultAction == 'Deny'",message="the default tier has defaultAction Deny"
// +kubebuilder:validation:XValidation:rule="self.metadata.name != 'default' || has(self.spec.order) && self.spec.order == 1000000.0",message="the default tier has order 1000000"
// +kubebuilder:validation:XValidation:rule="self.metadata.name != 'kube-admin' || self.spec.defaultAction == 'Pass'",message="the tier kube-admin has defaultAction Pass"
// +kubebuilder:validation:XValidation:rule="self.metadata.name != 'kube-admin' || has(self.spec.order) && self.spec.order == 1000.0",message="the tier kube-admin has order 1000"
// +kubebuilder:validation:XValidation:rule="self.metadata.name != 'kube-baseline' || self.spec.defaultAction == 'Pass'",message="the tier kube-baseline has defaultAction Pass"
// +kubebuilder:validation:XValidation:rule="self.metadata.name != 'kube-baseline' || has(self.spec.order) && self.spec.order == 10000000.0",message="the tier kube-baseline has order 10000000"
type Tier struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the content of the object.
	Spec policy.Tier `json:"spec"`

	// Status is written by controllers and agents.
	// +optional
	Status policy.TierStatus `json:"status,omitzero"`
}

// TierList is a list of these objects.
//
// +kubebuilder:object:root=true
type TierList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Tier `json:"items"`
}
