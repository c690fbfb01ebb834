// SPDX-License-Identifier: Apache-2.0

package felix

// WireGuard configures the encryption of traffic between nodes.
type WireGuard struct {
	// WireguardEnabled encrypts IPv4 traffic between pods of different nodes. The default is false.
	WireguardEnabled *bool `json:"wireguardEnabled,omitempty"`
	// WireguardEnabledV6 encrypts IPv6 traffic between pods of different nodes. The default is false.
	WireguardEnabledV6 *bool `json:"wireguardEnabledV6,omitempty"`
	// WireguardHostEncryptionEnabled encrypts traffic between the nodes as well. The default is false.
	WireguardHostEncryptionEnabled *bool `json:"wireguardHostEncryptionEnabled,omitempty"`
	// WireguardInterfaceName is the name of the IPv4 interface. The default is wireguard.cali.
	WireguardInterfaceName string `json:"wireguardInterfaceName,omitempty"`
	// WireguardInterfaceNameV6 is the name of the IPv6 interface. The default is wg-v6.cali.
	WireguardInterfaceNameV6 string `json:"wireguardInterfaceNameV6,omitempty"`
	// WireguardListeningPort is the UDP port of the IPv4 interface. The default is 51820.
	WireguardListeningPort *int `json:"wireguardListeningPort,omitempty"`
	// WireguardListeningPortV6 is the UDP port of the IPv6 interface. The default is 51821.
	WireguardListeningPortV6 *int `json:"wireguardListeningPortV6,omitempty"`
	// WireguardMTU is the MTU of the IPv4 interface. 0 (default) means that of the host less the overhead.
	WireguardMTU *int `json:"wireguardMTU,omitempty"`
	// WireguardMTUV6 is the MTU of the IPv6 interface. 0 (default) means that of the host less the overhead.
	WireguardMTUV6 *int `json:"wireguardMTUV6,omitempty"`
	// WireguardKeepAlive is the time between keepalive packets. 0 (default) sends none.
	WireguardKeepAlive Duration `json:"wireguardKeepAlive,omitempty"`
	// WireguardRoutingRulePriority is the priority of the routing rule. The default is 99.
	WireguardRoutingRulePriority *int `json:"wireguardRoutingRulePriority,omitempty"`
	// WireguardThreadingEnabled lets the kernel receive packets in threads of their own. The default is false.
	WireguardThreadingEnabled *bool `json:"wireguardThreadingEnabled,omitempty"`
}
