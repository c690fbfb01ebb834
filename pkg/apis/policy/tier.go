// SPDX-License-Identifier: Apache-2.0

package policy

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Names of the tiers that every cluster has.
const (
	// DefaultTier has the policies that name no tier, and the NetworkPolicies of Kubernetes.
	DefaultTier = "default"
	// AdminTier has the ClusterNetworkPolicies that come before the default tier.
	AdminTier = "kube-admin"
	// BaselineTier has the ClusterNetworkPolicies that come after the default tier.
	BaselineTier = "kube-baseline"
)

// Tier is the content of a Tier object: a group of policies that is evaluated as a unit.
type Tier struct {
	// Order is the position of the tier: lower first, ties by name. A tier without an order comes last.
	Order *float64 `json:"order,omitempty"`
	// DefaultAction applies to traffic of a selected endpoint that no rule of the tier decided: Deny (default), or Pass
	// to go on with the next tier.
	// +kubebuilder:default=Deny
	// +kubebuilder:validation:XValidation:rule=`self in ["", 'Deny', 'Pass']`,message="defaultAction must be Deny or Pass"
	DefaultAction Action `json:"defaultAction,omitempty"`
}

// TierStatus is the status of a Tier object.
type TierStatus struct {
	// Conditions of the tier. Ready is True if the tier is in use.
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}
