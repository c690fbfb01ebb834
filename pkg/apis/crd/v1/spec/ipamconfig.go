// SPDX-License-Identifier: Apache-2.0

package spec

// IPAMConfig is the content of an IPAMConfig object.
//
// +kubebuilder:pruning:PreserveUnknownFields
// +kubebuilder:validation:XValidation:rule="self.strictAffinity || self.autoAllocateBlocks",message="without autoAllocateBlocks nodes need strictAffinity: set strictAffinity, or autoAllocateBlocks"
// +kubebuilder:validation:XValidation:rule="self.strictAffinity || !has(self.maxBlocksPerHost) || self.maxBlocksPerHost == 0",message="maxBlocksPerHost needs strictAffinity: set strictAffinity, or maxBlocksPerHost 0"
type IPAMConfig struct {
	// StrictAffinity forbids nodes to borrow addresses from blocks of other nodes.
	StrictAffinity bool `json:"strictAffinity"`
	// AutoAllocateBlocks lets nodes claim blocks as they need them.
	AutoAllocateBlocks bool `json:"autoAllocateBlocks"`
	// MaxBlocksPerHost bounds the blocks of a node; 0 means 20.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2147483647
	// +optional
	MaxBlocksPerHost int `json:"maxBlocksPerHost,omitempty"`
	// IPCooldownSeconds is the time during which a released address is not allocated again.
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

// UnmarshalJSON keeps unknown fields.
func (s *IPAMConfig) UnmarshalJSON(data []byte) error {
	type plain IPAMConfig
	return Decode(data, (*plain)(s), &s.Unknown)
}

// MarshalJSON writes the unknown fields as well.
func (s IPAMConfig) MarshalJSON() ([]byte, error) {
	type plain IPAMConfig
	return Encode(plain(s), s.Unknown)
}
