// SPDX-License-Identifier: Apache-2.0

package felix

// Overlay configures IPIP and VXLAN tunnels, and the MTU.
type Overlay struct {
	// IPIPEnabled forces IPIP on or off. Absent means as the pools need it.
	IPIPEnabled *bool `json:"ipipEnabled,omitempty"`
	// IPIPMTU is the MTU of the IPIP interface. 0 (default) means that of the host less the overhead.
	IPIPMTU *int `json:"ipipMTU,omitempty"`
	// VXLANEnabled forces VXLAN on or off. Absent means as the pools need it.
	VXLANEnabled *bool `json:"vxlanEnabled,omitempty"`
	// VXLANMTU is the MTU of the IPv4 VXLAN interface. 0 (default) means that of the host less the overhead.
	VXLANMTU *int `json:"vxlanMTU,omitempty"`
	// VXLANMTUV6 is the MTU of the IPv6 VXLAN interface. 0 (default) means that of the host less the overhead.
	VXLANMTUV6 *int `json:"vxlanMTUV6,omitempty"`
	// VXLANPort is the UDP port of VXLAN. The default is 4789.
	VXLANPort *int `json:"vxlanPort,omitempty"`
	// VXLANVNI is the network identifier of VXLAN. The default is 4096.
	VXLANVNI *int `json:"vxlanVNI,omitempty"`
	// ExternalNodesList are CIDRs of further hosts whose IPIP and VXLAN packets are accepted.
	ExternalNodesList []string `json:"externalNodesList,omitempty"`
	// MTUIfacePattern selects host interfaces by name, as a regular expression; the least of their MTUs is that of the
	// host.
	MTUIfacePattern string `json:"mtuIfacePattern,omitempty"`
	// RequireMTUFile stops the node agent if it cannot write the file with the MTU of pods. The default is false.
	RequireMTUFile *bool `json:"requireMTUFile,omitempty"`
}
