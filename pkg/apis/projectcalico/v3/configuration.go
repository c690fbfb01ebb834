// SPDX-License-Identifier: Apache-2.0

package v3

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"calico-cni/pkg/apis/controllers"
	"calico-cni/pkg/apis/felix"
	"calico-cni/pkg/apis/nodestatus"
)

// FelixConfiguration configures the node agent of all nodes, of one, or of some.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,path=felixconfigurations,singular=felixconfiguration
// +kubebuilder:validation:XValidation:rule=`!has(self.spec) || !has(self.spec.nodeSelector) || self.spec.nodeSelector == "" || self.metadata.name != 'default' && !self.metadata.name.startsWith('node.')`,message="nodeSelector is for objects other than default and node.<name>"
type FelixConfiguration struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the content of the object.
	Spec felix.Configuration `json:"spec"`
}

// FelixConfigurationList is a list of these objects.
//
// +kubebuilder:object:root=true
type FelixConfigurationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []FelixConfiguration `json:"items"`
}

// KubeControllersConfiguration configures the controllers that run once in a cluster.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,path=kubecontrollersconfigurations,singular=kubecontrollersconfiguration,shortName=kcc;kccs
// +kubebuilder:subresource:status
type KubeControllersConfiguration struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the content of the object.
	Spec controllers.Configuration `json:"spec"`

	// Status is written by controllers and agents.
	// +optional
	Status controllers.Status `json:"status,omitzero"`
}

// KubeControllersConfigurationList is a list of these objects.
//
// +kubebuilder:object:root=true
type KubeControllersConfigurationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []KubeControllersConfiguration `json:"items"`
}

// CalicoNodeStatus asks the agent of a node for a report, and has its answer.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,path=caliconodestatuses,singular=caliconodestatus
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name=Node,type=string,JSONPath=.spec.node
// +kubebuilder:printcolumn:name=Classes,type=string,JSONPath=.spec.classes
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=.metadata.creationTimestamp
type CalicoNodeStatus struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the content of the object.
	Spec nodestatus.Request `json:"spec"`

	// Status is written by controllers and agents.
	// +optional
	Status nodestatus.Status `json:"status,omitzero"`
}

// CalicoNodeStatusList is a list of these objects.
//
// +kubebuilder:object:root=true
type CalicoNodeStatusList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []CalicoNodeStatus `json:"items"`
}
