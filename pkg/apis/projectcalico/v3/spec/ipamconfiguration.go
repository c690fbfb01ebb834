// SPDX-License-Identifier: Apache-2.0

package spec

import v1 "calico-cni/pkg/apis/crd/v1/spec"

// IPAMConfiguration is the content of an IPAMConfiguration object. It has the fields of an IPAMConfig, with other
// bounds and with defaults, and can be converted into one.
//
// +kubebuilder:pruning:PreserveUnknownFields
// +kubebuilder:validation:XValidation:rule="self.strictAffinity || self.autoAllocateBlocks",message="without autoAllocateBlocks nodes need strictAffinity: set strictAffinity, or autoAllocateBlocks"
// +kubebuilder:validation:XValidation:rule="self.strictAffinity || !has(self.maxBlocksPerHost) || self.maxBlocksPerHost == 0",message="maxBlocksPerHost needs strictAffinity: set strictAffinity, or maxBlocksPerHost 0"
type IPAMConfiguration struct {
	// StrictAffinity forbids nodes to borrow addresses from blocks of other nodes.
	// +kubebuilder:default=false
	StrictAffinity bool `json:"strictAffinity"`
	// AutoAllocateBlocks lets nodes claim blocks as they need them.
	// +kubebuilder:default=true
	AutoAllocateBlocks bool `json:"autoAllocateBlocks"`
	// MaxBlocksPerHost bounds the blocks of a node; 0 means 20.
	// +kubebuilder:validation:Format=int32
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000
	// +kubebuilder:default=0
	// +optional
	MaxBlocksPerHost int `json:"maxBlocksPerHost,omitempty"`
	// IPCooldownSeconds is the time during which a released address is not allocated again.
	// +kubebuilder:validation:Format=int32
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1200
	// +optional
	IPCooldownSeconds int `json:"ipCooldownSeconds,omitempty"`
	// KubeVirtVMAddressPersistence lets a virtual machine keep its address; empty means Enabled.
	// +kubebuilder:validation:Enum="";Enabled;Disabled
	// +optional
	KubeVirtVMAddressPersistence string `json:"kubeVirtVMAddressPersistence,omitempty"`

	Unknown v1.Unknown `json:"-"`
}

// UnmarshalJSON keeps unknown fields.
func (s *IPAMConfiguration) UnmarshalJSON(data []byte) error {
	type plain IPAMConfiguration
	return v1.Decode(data, (*plain)(s), &s.Unknown)
}

// MarshalJSON writes the unknown fields as well.
func (s IPAMConfiguration) MarshalJSON() ([]byte, error) {
	type plain IPAMConfiguration
	return v1.Encode(plain(s), s.Unknown)
}
