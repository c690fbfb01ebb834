package v1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// IPAMConfig configures IPAM for the whole cluster. The one that counts is named "default".
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,path=ipamconfigs,singular=ipamconfig
type IPAMConfig struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the whole of the object.
	Spec IPAMConfigSpec `json:"spec,omitempty"`

	Unknown Unknown `json:"-"`
}

// IPAMConfigSpec is the configuration.
//
// +kubebuilder:pruning:PreserveUnknownFields
// +kubebuilder:validation:XValidation:rule="self.strictAffinity || self.autoAllocateBlocks",message="without autoAllocateBlocks nodes need strictAffinity: set strictAffinity, or autoAllocateBlocks"
// +kubebuilder:validation:XValidation:rule="self.strictAffinity || !has(self.maxBlocksPerHost) || self.maxBlocksPerHost == 0",message="maxBlocksPerHost needs strictAffinity: set strictAffinity, or maxBlocksPerHost 0"
type IPAMConfigSpec struct {
	// StrictAffinity forbids a node to borrow addresses from blocks of others.
	StrictAffinity bool `json:"strictAffinity"`
	// AutoAllocateBlocks lets nodes claim blocks as they need them.
	AutoAllocateBlocks bool `json:"autoAllocateBlocks"`
	// MaxBlocksPerHost bounds the blocks of a node; 0 means 20.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2147483647
	// +optional
	MaxBlocksPerHost int `json:"maxBlocksPerHost,omitempty"`
	// IPCooldownSeconds is how long a released address rests before it is given out again.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1200
	// +optional
	IPCooldownSeconds int `json:"ipCooldownSeconds,omitempty"`
	// KubeVirtVMAddressPersistence lets a virtual machine keep its address; empty means Enabled.
	// +kubebuilder:validation:Enum="";Enabled;Disabled
	// +optional
	KubeVirtVMAddressPersistence string `json:"kubeVirtVMAddressPersistence,omitempty"`

	Unknown Unknown `json:"-"`
}

// IPAMConfigList is a list of these objects.
//
// +kubebuilder:object:root=true
type IPAMConfigList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []IPAMConfig `json:"items"`
}

// UnmarshalJSON keeps the fields that the type does not know.
func (s *IPAMConfigSpec) UnmarshalJSON(data []byte) error {
	type plain IPAMConfigSpec
	return decode(data, (*plain)(s), &s.Unknown)
}

// MarshalJSON writes the unknown fields as well.
func (s IPAMConfigSpec) MarshalJSON() ([]byte, error) {
	type plain IPAMConfigSpec
	return encode(plain(s), s.Unknown)
}

// UnmarshalJSON keeps the fields that the type does not know.
func (o *IPAMConfig) UnmarshalJSON(data []byte) error {
	type plain IPAMConfig
	return decode(data, (*plain)(o), &o.Unknown)
}

// MarshalJSON writes the unknown fields as well.
func (o IPAMConfig) MarshalJSON() ([]byte, error) {
	type plain IPAMConfig
	return encode(plain(o), o.Unknown)
}
