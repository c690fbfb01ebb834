// SPDX-License-Identifier: Apache-2.0

package policy

// Direction is a direction of traffic, seen from the selected endpoint.
//
// +kubebuilder:validation:Enum=Ingress;Egress
type Direction string

// Values of Direction.
const (
	Ingress Direction = "Ingress"
	Egress  Direction = "Egress"
)

// Hint tells the node agent how a policy is used. It never changes what the policy allows.
//
// +kubebuilder:validation:Enum=AssumeNeededOnEveryNode
type Hint string

// AssumeNeededOnEveryNode keeps a policy programmed on nodes where it selects no endpoint.
const AssumeNeededOnEveryNode Hint = "AssumeNeededOnEveryNode"

// StagedAction says what happens to the enforced policy when a staged policy is applied.
//
// +kubebuilder:validation:Enum=Set;Delete;Learn;Ignore
type StagedAction string

// Values of StagedAction.
const (
	// StagedSet creates or replaces the policy. It is the default.
	StagedSet StagedAction = "Set"
	// StagedDelete deletes the policy.
	StagedDelete StagedAction = "Delete"
	// StagedLearn marks a policy that a tool still completes.
	StagedLearn StagedAction = "Learn"
	// StagedIgnore marks a policy that a tool proposed and the user declined.
	StagedIgnore StagedAction = "Ignore"
)

// NetworkPolicy is the content of a NetworkPolicy object, which selects endpoints of its own namespace.
//
// +kubebuilder:validation:XValidation:rule="!has(self.ingress) || self.ingress.all(r, !has(r.destination) || !has(r.destination.services))",message="an ingress rule can name services only in source"
// +kubebuilder:validation:XValidation:rule="!has(self.egress) || self.egress.all(r, !has(r.source) || !has(r.source.services))",message="an egress rule can name services only in destination"
type NetworkPolicy struct {
	// Tier of the policy, "default" by default.
	// +kubebuilder:default=default
	Tier string `json:"tier,omitempty"`
	// Order is the position in the tier: lower first, ties by name. A policy without an order comes last.
	Order *float64 `json:"order,omitempty"`
	// Ingress are the rules for traffic to the endpoint. The first that matches decides.
	// +kubebuilder:validation:MaxItems=1024
	// +listType=atomic
	Ingress []Rule `json:"ingress,omitempty"`
	// Egress are the rules for traffic from the endpoint. The first that matches decides.
	// +kubebuilder:validation:MaxItems=1024
	// +listType=atomic
	Egress []Rule `json:"egress,omitempty"`
	// Selector selects endpoints by their labels. Empty selects every endpoint of the namespace.
	// +kubebuilder:validation:MaxLength=1024
	Selector string `json:"selector,omitempty"`
	// Types are the directions that the policy governs. Absent means Egress if there are egress rules, and Ingress if
	// there are ingress rules or no egress rules.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	// +listType=set
	Types []Direction `json:"types,omitempty"`
	// ServiceAccountSelector selects endpoints by the labels of their service account as well.
	// +kubebuilder:validation:MaxLength=1024
	ServiceAccountSelector string `json:"serviceAccountSelector,omitempty"`
	// PerformanceHints for the node agent.
	// +listType=set
	PerformanceHints []Hint `json:"performanceHints,omitempty"`
}

// StagedNetworkPolicy is the content of a StagedNetworkPolicy object: a NetworkPolicy that is not enforced, whose
// effect is only reported.
type StagedNetworkPolicy struct {
	// StagedAction is Set (default), Delete, Learn or Ignore.
	// +kubebuilder:default=Set
	StagedAction StagedAction `json:"stagedAction,omitempty"`

	NetworkPolicy `json:",inline"`
}

// GlobalNetworkPolicy is the content of a GlobalNetworkPolicy object, which selects endpoints of all namespaces, and
// host endpoints.
//
// +kubebuilder:validation:XValidation:rule="!has(self.ingress) || self.ingress.all(r, !has(r.destination) || !has(r.destination.services))",message="an ingress rule can name services only in source"
// +kubebuilder:validation:XValidation:rule="!has(self.egress) || self.egress.all(r, !has(r.source) || !has(r.source.services))",message="an egress rule can name services only in destination"
// +kubebuilder:validation:XValidation:rule=`!has(self.ingress) || self.ingress.all(r, !has(r.source) || !has(r.source.services) || has(r.source.services.namespace) && r.source.services.namespace != "")`,message="services in a global policy need a namespace"
// +kubebuilder:validation:XValidation:rule=`!has(self.egress) || self.egress.all(r, !has(r.destination) || !has(r.destination.services) || has(r.destination.services.namespace) && r.destination.services.namespace != "")`,message="services in a global policy need a namespace"
// +kubebuilder:validation:XValidation:rule="!(has(self.doNotTrack) && self.doNotTrack && has(self.preDNAT) && self.preDNAT)",message="doNotTrack and preDNAT cannot both be true"
// +kubebuilder:validation:XValidation:rule="!(has(self.doNotTrack) && self.doNotTrack || has(self.preDNAT) && self.preDNAT) || has(self.applyOnForward) && self.applyOnForward",message="doNotTrack and preDNAT need applyOnForward: set it to true"
// +kubebuilder:validation:XValidation:rule="!has(self.preDNAT) || !self.preDNAT || (!has(self.egress) || self.egress.size() == 0) && (!has(self.types) || !('Egress' in self.types))",message="a preDNAT policy can have no egress rules"
type GlobalNetworkPolicy struct {
	// Tier of the policy, "default" by default.
	// +kubebuilder:default=default
	Tier string `json:"tier,omitempty"`
	// Order is the position in the tier: lower first, ties by name. A policy without an order comes last.
	Order *float64 `json:"order,omitempty"`
	// Ingress are the rules for traffic to the endpoint. The first that matches decides.
	// +kubebuilder:validation:MaxItems=1024
	// +listType=atomic
	Ingress []Rule `json:"ingress,omitempty"`
	// Egress are the rules for traffic from the endpoint. The first that matches decides.
	// +kubebuilder:validation:MaxItems=1024
	// +listType=atomic
	Egress []Rule `json:"egress,omitempty"`
	// Selector selects endpoints by their labels. Empty selects every endpoint.
	// +kubebuilder:validation:MaxLength=1024
	Selector string `json:"selector,omitempty"`
	// Types are the directions that the policy governs. Absent means Egress if there are egress rules, and Ingress if
	// there are ingress rules or no egress rules.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	// +listType=set
	Types []Direction `json:"types,omitempty"`
	// DoNotTrack applies the rules to packets of host endpoints before connection tracking, and exempts what they allow
	// from it. It needs applyOnForward.
	DoNotTrack bool `json:"doNotTrack,omitempty"`
	// PreDNAT applies the rules to packets of host endpoints before their destination is translated. It needs
	// applyOnForward, and excludes egress rules.
	PreDNAT bool `json:"preDNAT,omitempty"`
	// ApplyOnForward applies the rules of host endpoints to forwarded traffic as well.
	ApplyOnForward bool `json:"applyOnForward,omitempty"`
	// NamespaceSelector selects endpoints by the labels of their namespace as well. Host endpoints have none.
	// +kubebuilder:validation:MaxLength=1024
	NamespaceSelector string `json:"namespaceSelector,omitempty"`
	// ServiceAccountSelector selects endpoints by the labels of their service account as well.
	// +kubebuilder:validation:MaxLength=1024
	ServiceAccountSelector string `json:"serviceAccountSelector,omitempty"`
	// PerformanceHints for the node agent.
	// +listType=set
	PerformanceHints []Hint `json:"performanceHints,omitempty"`
}

// StagedGlobalNetworkPolicy is the content of a StagedGlobalNetworkPolicy object: a GlobalNetworkPolicy that is not
// enforced, whose effect is only reported.
type StagedGlobalNetworkPolicy struct {
	// StagedAction is Set (default), Delete, Learn or Ignore.
	// +kubebuilder:default=Set
	StagedAction StagedAction `json:"stagedAction,omitempty"`

	GlobalNetworkPolicy `json:",inline"`
}
