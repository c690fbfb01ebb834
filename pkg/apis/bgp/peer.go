// SPDX-License-Identifier: Apache-2.0

package bgp

// Peer is the content of a BGPPeer object. The fields node and nodeSelector say which nodes have the peering; without
// both, all nodes have it. One of peerIP, peerSelector and localWorkloadSelector says who is on the other side.
//
// +kubebuilder:validation:XValidation:rule=`!has(self.node) || self.node == "" || !has(self.nodeSelector) || self.nodeSelector == ""`,message="node and nodeSelector exclude each other"
// +kubebuilder:validation:XValidation:rule=`!has(self.peerIP) || self.peerIP == "" || !has(self.peerSelector) || self.peerSelector == ""`,message="peerIP and peerSelector exclude each other"
// +kubebuilder:validation:XValidation:rule=`!has(self.localWorkloadSelector) || self.localWorkloadSelector == "" || (!has(self.peerIP) || self.peerIP == "") && (!has(self.peerSelector) || self.peerSelector == "")`,message="localWorkloadSelector excludes peerIP and peerSelector"
// +kubebuilder:validation:XValidation:rule=`!has(self.peerSelector) || self.peerSelector == "" || !has(self.asNumber) || self.asNumber == 0`,message="a peer that peerSelector selects has the AS number of its node: remove asNumber"
// +kubebuilder:validation:XValidation:rule=`!has(self.localWorkloadSelector) || self.localWorkloadSelector == "" || has(self.asNumber) && self.asNumber != 0`,message="localWorkloadSelector needs asNumber"
// +kubebuilder:validation:XValidation:rule="!has(self.keepOriginalNextHop) || !self.keepOriginalNextHop || !has(self.nextHopMode)",message="keepOriginalNextHop and nextHopMode exclude each other: use nextHopMode"
// +kubebuilder:validation:XValidation:rule=`!has(self.reachableBy) || self.reachableBy == "" || has(self.peerIP) && self.peerIP != ""`,message="reachableBy needs peerIP"
// +kubebuilder:validation:XValidation:rule=`!has(self.reachableBy) || !has(self.peerIP) || !isIP(self.reachableBy) || self.peerIP == "" || (ip(self.reachableBy).family() == 6) == (self.peerIP.indexOf(':') != self.peerIP.lastIndexOf(':'))`,message="reachableBy and peerIP must be of one IP version"
type Peer struct {
	// Node is the name of the node that has the peering.
	// +kubebuilder:validation:MaxLength=253
	Node string `json:"node,omitempty"`
	// NodeSelector selects the nodes that have the peering.
	// +kubebuilder:validation:MaxLength=1024
	NodeSelector string `json:"nodeSelector,omitempty"`
	// PeerIP is the address of the peer, with an optional port: "192.0.2.1", "192.0.2.1:179", "[2001:db8::1]:179".
	// +kubebuilder:validation:MaxLength=64
	PeerIP string `json:"peerIP,omitempty"`
	// PeerSelector selects nodes as peers.
	// +kubebuilder:validation:MaxLength=1024
	PeerSelector string `json:"peerSelector,omitempty"`
	// LocalWorkloadSelector selects workloads on the node as peers. It needs asNumber.
	// +kubebuilder:validation:MaxLength=1024
	LocalWorkloadSelector string `json:"localWorkloadSelector,omitempty"`
	// ASNumber of the peer. 0 means that of the cluster.
	ASNumber ASNumber `json:"asNumber,omitempty"`
	// LocalASNumber is the AS number of the node in this peering, instead of its own.
	LocalASNumber *ASNumber `json:"localASNumber,omitempty"`
	// KeepOriginalNextHop keeps the next hop of routes to external peers. Deprecated: use nextHopMode.
	KeepOriginalNextHop bool `json:"keepOriginalNextHop,omitempty"`
	// NextHopMode of advertised routes: Auto (default), Self for the node itself, or Keep.
	// +kubebuilder:validation:Enum=Auto;Self;Keep
	NextHopMode *string `json:"nextHopMode,omitempty"`
	// Password is the TCP MD5 password of the peering.
	Password *Password `json:"password,omitempty"`
	// SourceAddress is UseNodeIP (default) to connect from the node's address, or None to let the kernel choose.
	// +kubebuilder:validation:Enum=UseNodeIP;None
	SourceAddress string `json:"sourceAddress,omitempty"`
	// MaxRestartTime is the graceful restart time, a duration in whole seconds. The default is 120s.
	MaxRestartTime string `json:"maxRestartTime,omitempty"`
	// KeepaliveTime is the time between keepalive messages, a duration in whole seconds. The default is a third of the
	// hold time.
	KeepaliveTime string `json:"keepaliveTime,omitempty"`
	// NumAllowedLocalASNumbers is how often the node's own AS number may occur in the path of a received route. The
	// default is 0.
	NumAllowedLocalASNumbers *int32 `json:"numAllowedLocalASNumbers,omitempty"`
	// TTLSecurity is the distance of the peer in hops, which the TTL of received packets must prove. 0 disables the
	// check.
	TTLSecurity *int `json:"ttlSecurity,omitempty"`
	// ReachableBy is the address of the gateway to the peer.
	// +kubebuilder:validation:MaxLength=64
	ReachableBy string `json:"reachableBy,omitempty"`
	// Filters are names of BGPFilters, applied in this order.
	// +listType=atomic
	Filters []string `json:"filters,omitempty"`
	// ReversePeering is Auto (default) to configure the peering on the nodes that peerIP or peerSelector means as well,
	// or Manual.
	ReversePeering string `json:"reversePeering,omitempty"`
}
