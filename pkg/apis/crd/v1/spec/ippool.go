// SPDX-License-Identifier: Apache-2.0

package spec

// IPPool is the content of an IPPool object. An absent or zero block size means the default of the family, also in the
// rules. A disabled pool may be smaller than a block, because such a pool may only exempt addresses from NAT.
//
// +kubebuilder:pruning:PreserveUnknownFields
// +kubebuilder:validation:XValidation:rule="!has(self.blockSize) || self.blockSize == 0 || !isCIDR(self.cidr) || (cidr(self.cidr).ip().family() == 4 ? self.blockSize >= 20 && self.blockSize <= 32 : self.blockSize >= 116 && self.blockSize <= 128)",message="blockSize must be 20 to 32 for IPv4 and 116 to 128 for IPv6"
// +kubebuilder:validation:XValidation:rule="has(self.disabled) && self.disabled || !isCIDR(self.cidr) || cidr(self.cidr).prefixLength() <= (has(self.blockSize) && self.blockSize != 0 ? self.blockSize : cidr(self.cidr).ip().family() == 4 ? 26 : 122)",message="the pool is smaller than one of its blocks: widen cidr or raise blockSize"
// +kubebuilder:validation:XValidation:rule="!isCIDR(self.cidr) || (has(self.blockSize) && self.blockSize != 0 ? self.blockSize : cidr(self.cidr).ip().family() == 4 ? 26 : 122) == (has(oldSelf.blockSize) && oldSelf.blockSize != 0 ? oldSelf.blockSize : cidr(self.cidr).ip().family() == 4 ? 26 : 122)",message="blockSize cannot be changed: create another pool"
// +kubebuilder:validation:XValidation:rule="!has(self.ipipMode) || !has(self.vxlanMode) || !(self.ipipMode in ['Always', 'CrossSubnet'] && self.vxlanMode in ['Always', 'CrossSubnet'])",message="ipipMode and vxlanMode cannot both be on: set one of them to Never"
// +kubebuilder:validation:XValidation:rule="!has(self.ipipMode) || !(self.ipipMode in ['Always', 'CrossSubnet']) || !isCIDR(self.cidr) || cidr(self.cidr).ip().family() == 4",message="ipipMode is for IPv4 only: use vxlanMode"
// +kubebuilder:validation:XValidation:rule="!isCIDR(self.cidr) || !(cidr('169.254.0.0/16').containsCIDR(self.cidr) || cidr('fe80::/10').containsCIDR(self.cidr) || cidr(self.cidr).containsIP('169.254.0.0') || cidr(self.cidr).containsIP('fe80::'))",message="a pool cannot overlap the link-local ranges 169.254.0.0/16 and fe80::/10"
type IPPool struct {
	// CIDR of the pool, masked. It cannot be changed.
	// +kubebuilder:validation:MaxLength=50
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="cidr cannot be changed: create another pool"
	// +kubebuilder:validation:XValidation:rule="isCIDR(self) && cidr(self) == cidr(self).masked()",message="cidr must be a CIDR with no bits set behind its prefix length"
	CIDR string `json:"cidr"`
	// BlockSize is the prefix length of the blocks: 20 to 32 or 116 to 128, by default 26 or 122. It cannot be changed.
	// +optional
	BlockSize int `json:"blockSize,omitempty"`
	// IPIPMode is Never, Always or CrossSubnet; empty means Never.
	// +kubebuilder:validation:Enum="";Never;Always;CrossSubnet
	// +kubebuilder:default=Never
	// +optional
	IPIPMode string `json:"ipipMode,omitempty"`
	// VXLANMode is Never, Always or CrossSubnet; empty means Never.
	// +kubebuilder:validation:Enum="";Never;Always;CrossSubnet
	// +kubebuilder:default=Never
	// +optional
	VXLANMode string `json:"vxlanMode,omitempty"`
	// NATOutgoing masquerades traffic that leaves the pools.
	// +optional
	NATOutgoing bool `json:"natOutgoing,omitempty"`
	// Disabled prevents new allocations from the pool. Existing allocations stay valid.
	// +optional
	Disabled bool `json:"disabled,omitempty"`
	// DisableBGPExport keeps the pool's routes out of BGP.
	// +optional
	DisableBGPExport bool `json:"disableBGPExport,omitempty"`
	// NodeSelector selects the nodes that the pool serves. Empty means all().
	// +kubebuilder:default="all()"
	// +optional
	NodeSelector string `json:"nodeSelector,omitempty"`
	// NamespaceSelector selects the namespaces that the pool serves. Empty means all.
	// +optional
	NamespaceSelector string `json:"namespaceSelector,omitempty"`
	// AllowedUses are the uses of the pool. Empty means Workload and Tunnel. LoadBalancer excludes other uses.
	// +kubebuilder:validation:MaxItems=3
	// +kubebuilder:validation:items:Enum=Workload;Tunnel;LoadBalancer
	// +kubebuilder:validation:XValidation:rule="!('LoadBalancer' in self) || self.size() == 1",message="a pool for LoadBalancer can have no other use: make a pool of its own"
	// +listType=set
	// +optional
	AllowedUses []string `json:"allowedUses,omitempty"`
	// AssignmentMode is Automatic or Manual. A Manual pool serves only requests that name it. Empty means Automatic.
	// +kubebuilder:validation:Enum="";Automatic;Manual
	// +kubebuilder:default=Automatic
	// +optional
	AssignmentMode string `json:"assignmentMode,omitempty"`

	Unknown Unknown `json:"-"`
}

// UnmarshalJSON keeps unknown fields.
func (s *IPPool) UnmarshalJSON(data []byte) error {
	type plain IPPool
	return Decode(data, (*plain)(s), &s.Unknown)
}

// MarshalJSON writes the unknown fields as well.
func (s IPPool) MarshalJSON() ([]byte, error) {
	type plain IPPool
	return Encode(plain(s), s.Unknown)
}
