// SPDX-License-Identifier: Apache-2.0

package felix

// Tables configures the nftables or iptables of the data plane.
type Tables struct {
	// NFTablesMode uses nftables if Enabled, iptables if Disabled, and what kube-proxy uses if Auto (default).
	// +kubebuilder:validation:Enum=Disabled;Enabled;Auto
	// +kubebuilder:default=Auto
	NFTablesMode string `json:"nftablesMode,omitempty"`
	// NFTablesRefreshInterval is the time between two comparisons of the rules with the kernel, a duration. The default
	// is 180s; 0 disables them.
	NFTablesRefreshInterval string `json:"nftablesRefreshInterval,omitempty"`
	// NFTablesFilterAllowAction applies to packets that policy allowed: Accept (default) or Return.
	NFTablesFilterAllowAction AllowAction `json:"nftablesFilterAllowAction,omitempty"`
	// NFTablesFilterDenyAction applies to packets that policy denied: Drop (default) or Reject.
	NFTablesFilterDenyAction DenyAction `json:"nftablesFilterDenyAction,omitempty"`
	// NFTablesMangleAllowAction applies to packets that a preDNAT policy allowed: Accept (default) or Return.
	NFTablesMangleAllowAction AllowAction `json:"nftablesMangleAllowAction,omitempty"`
	// NFTablesMarkMask are the bits of the packet mark that the node agent may use. The default is 0xffff0000.
	NFTablesMarkMask *Mark `json:"nftablesMarkMask,omitempty"`
	// NFTablesFlowTableOffload is All to forward established flows without further rules, or Disabled (default).
	// +kubebuilder:validation:Enum=All;Disabled
	// +kubebuilder:default=Disabled
	NFTablesFlowTableOffload string `json:"nftablesFlowTableOffload,omitempty"`
	// NFTablesFlowTableDataIfacePattern selects host interfaces for these flows by name, as a regular expression.
	NFTablesFlowTableDataIfacePattern string `json:"nftablesFlowTableDataIfacePattern,omitempty"`
	// IptablesBackend is Legacy, NFT, or Auto (default) for what other programs on the host use, in any case.
	// +kubebuilder:validation:Pattern=`^(?i)(Auto|Legacy|NFT)?$`
	IptablesBackend string `json:"iptablesBackend,omitempty"`
	// IptablesRefreshInterval is the time between two comparisons of the rules with the kernel. The default is 180s; 0
	// disables them.
	IptablesRefreshInterval Duration `json:"iptablesRefreshInterval,omitempty"`
	// IptablesPostWriteCheckInterval is the time after a write before the rules are read again, in case another program
	// replaced them. The default is 5s.
	IptablesPostWriteCheckInterval Duration `json:"iptablesPostWriteCheckInterval,omitempty"`
	// IptablesLockProbeInterval is the time between two attempts to take the lock of iptables. The default is 50ms.
	IptablesLockProbeInterval Duration `json:"iptablesLockProbeInterval,omitempty"`
	// IptablesFilterAllowAction applies to packets that policy allowed: Accept (default) or Return.
	IptablesFilterAllowAction AllowAction `json:"iptablesFilterAllowAction,omitempty"`
	// IptablesFilterDenyAction applies to packets that policy denied: Drop (default) or Reject.
	IptablesFilterDenyAction DenyAction `json:"iptablesFilterDenyAction,omitempty"`
	// IptablesMangleAllowAction applies to packets that a preDNAT policy allowed: Accept (default) or Return.
	IptablesMangleAllowAction AllowAction `json:"iptablesMangleAllowAction,omitempty"`
	// IptablesMarkMask are the bits of the packet mark that the node agent may use. The default is 0xffff0000.
	IptablesMarkMask *Mark `json:"iptablesMarkMask,omitempty"`
	// ChainInsertMode is Insert (default) to come before all other rules of the host, or Append to come after them.
	// +kubebuilder:validation:Pattern=`^(?i)(Insert|Append)?$`
	ChainInsertMode string `json:"chainInsertMode,omitempty"`
	// IPSetsRefreshInterval is the time between two comparisons of the sets with the kernel. The default is 90s; 0
	// disables them.
	IPSetsRefreshInterval Duration `json:"ipsetsRefreshInterval,omitempty"`
	// MaxIPSetSize is the largest number of members of a set. The default is 1048576.
	MaxIPSetSize *int `json:"maxIpsetSize,omitempty"`
	// FeatureDetectOverride replaces what the node agent detects about the kernel, as a comma-separated list such as
	// SNATFullyRandom=true.
	// +kubebuilder:validation:Pattern=`^([a-zA-Z0-9-_]+=(true|false|),)*([a-zA-Z0-9-_]+=(true|false|))?$`
	FeatureDetectOverride string `json:"featureDetectOverride,omitempty"`
	// FeatureGates switch features on or off, as a comma-separated list such as Feature=value.
	// +kubebuilder:validation:Pattern=`^([a-zA-Z0-9-_]+=([^=]+),)*([a-zA-Z0-9-_]+=([^=]+))?$`
	FeatureGates string `json:"featureGates,omitempty"`
	// XDPEnabled drops packets of doNotTrack policies with XDP where possible. The default is true.
	XDPEnabled *bool `json:"xdpEnabled,omitempty"`
	// GenericXDPEnabled uses XDP on interfaces whose driver does not support it. The default is false.
	GenericXDPEnabled *bool `json:"genericXDPEnabled,omitempty"`
	// XDPRefreshInterval is the time between two comparisons of the XDP state with the kernel. The default is 90s.
	XDPRefreshInterval Duration `json:"xdpRefreshInterval,omitempty"`
	// SidecarAccelerationEnabled bypasses the network stack between a proxy and its pod. The default is false.
	SidecarAccelerationEnabled *bool `json:"sidecarAccelerationEnabled,omitempty"`
}
