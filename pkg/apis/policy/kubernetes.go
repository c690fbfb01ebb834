// SPDX-License-Identifier: Apache-2.0

package policy

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// StagedKubernetesNetworkPolicy is the content of a StagedKubernetesNetworkPolicy object: a NetworkPolicy of Kubernetes
// that is not enforced, whose effect is only reported.
type StagedKubernetesNetworkPolicy struct {
	// StagedAction is Set (default), Delete, Learn or Ignore.
	// +kubebuilder:default=Set
	StagedAction StagedAction `json:"stagedAction,omitempty"`
	// PodSelector selects pods of the namespace by their labels; empty selects all.
	PodSelector metav1.LabelSelector `json:"podSelector,omitzero"`
	// Ingress rules, which are alternatives.
	// +listType=atomic
	Ingress []KubernetesIngressRule `json:"ingress,omitempty"`
	// Egress rules, which are alternatives.
	// +listType=atomic
	Egress []KubernetesEgressRule `json:"egress,omitempty"`
	// PolicyTypes are the directions that the policy governs: Ingress, Egress.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	// +listType=set
	PolicyTypes []string `json:"policyTypes,omitempty"`
}

// KubernetesIngressRule allows traffic to the selected pods.
type KubernetesIngressRule struct {
	// Ports that match; empty matches all.
	// +listType=atomic
	Ports []KubernetesPort `json:"ports,omitempty"`
	// From are the peers that match; empty matches all peers.
	// +listType=atomic
	From []KubernetesPeer `json:"from,omitempty"`
}

// KubernetesEgressRule allows traffic from the selected pods.
type KubernetesEgressRule struct {
	// Ports that match; empty matches all.
	// +listType=atomic
	Ports []KubernetesPort `json:"ports,omitempty"`
	// To are the peers that match; empty matches all peers.
	// +listType=atomic
	To []KubernetesPeer `json:"to,omitempty"`
}

// KubernetesPort is a port or a range of ports.
type KubernetesPort struct {
	// Protocol is TCP (default), UDP or SCTP.
	Protocol string `json:"protocol,omitempty"`
	// Port is a number or a name; absent means every port.
	Port *intstr.IntOrString `json:"port,omitempty"`
	// EndPort is the last port of a range that begins with port.
	EndPort *int32 `json:"endPort,omitempty"`
}

// KubernetesPeer is the other side of a connection: pods, or a range of addresses.
type KubernetesPeer struct {
	// PodSelector selects pods by their labels.
	PodSelector *metav1.LabelSelector `json:"podSelector,omitempty"`
	// NamespaceSelector selects namespaces by their labels; absent means that of the policy.
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`
	// IPBlock is a range of addresses. Mutually exclusive with the selectors.
	IPBlock *KubernetesIPBlock `json:"ipBlock,omitempty"`
}

// KubernetesIPBlock is a range of addresses with exceptions.
type KubernetesIPBlock struct {
	// CIDR of the range.
	// +required
	CIDR string `json:"cidr"`
	// Except are CIDRs within the range that are not part of it.
	// +listType=atomic
	Except []string `json:"except,omitempty"`
}
