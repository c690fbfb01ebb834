// SPDX-License-Identifier: Apache-2.0

package bgp

// Configuration is the content of a BGPConfiguration object. The object "default" is for the cluster. In an object
// "node.<name>" only logSeverityScreen, listenPort and prefixAdvertisements count.
//
// +kubebuilder:validation:XValidation:rule="!has(self.communities) || self.communities.size() == 0 || has(self.prefixAdvertisements) && self.prefixAdvertisements.size() > 0",message="communities need prefixAdvertisements that use them"
// +kubebuilder:validation:XValidation:rule="!has(self.nodeMeshPassword) || !has(self.nodeToNodeMeshEnabled) || self.nodeToNodeMeshEnabled",message="nodeMeshPassword needs the mesh: remove it, or set nodeToNodeMeshEnabled"
// +kubebuilder:validation:XValidation:rule="!has(self.nodeMeshMaxRestartTime) || !has(self.nodeToNodeMeshEnabled) || self.nodeToNodeMeshEnabled",message="nodeMeshMaxRestartTime needs the mesh: remove it, or set nodeToNodeMeshEnabled"
type Configuration struct {
	// LogSeverityScreen is the lowest level that is logged: Trace, Debug, Info (default), Warning, Error or Fatal.
	// +kubebuilder:validation:Pattern=`^(?i)(Trace|Debug|Info|Warning|Error|Fatal)?$`
	// +kubebuilder:default=Info
	LogSeverityScreen string `json:"logSeverityScreen,omitempty"`
	// NodeToNodeMeshEnabled makes every node a peer of every other node. The default is true.
	NodeToNodeMeshEnabled *bool `json:"nodeToNodeMeshEnabled,omitempty"`
	// ASNumber of nodes that have no number of their own. The default is 64512.
	ASNumber *ASNumber `json:"asNumber,omitempty"`
	// ServiceLoadBalancerIPs are the ranges of load balancer addresses of Services that nodes advertise.
	// +listType=atomic
	ServiceLoadBalancerIPs []CIDRBlock `json:"serviceLoadBalancerIPs,omitempty"`
	// ServiceExternalIPs are the ranges of external addresses of Services that nodes advertise.
	// +listType=atomic
	ServiceExternalIPs []CIDRBlock `json:"serviceExternalIPs,omitempty"`
	// ServiceClusterIPs are the ranges of cluster addresses of Services that nodes advertise.
	// +listType=atomic
	ServiceClusterIPs []CIDRBlock `json:"serviceClusterIPs,omitempty"`
	// ServiceLoadBalancerAggregation advertises the ranges of load balancer addresses as a whole if Enabled (default),
	// and each address by itself if Disabled.
	// +kubebuilder:validation:Enum=Enabled;Disabled
	// +kubebuilder:default=Enabled
	ServiceLoadBalancerAggregation string `json:"serviceLoadBalancerAggregation,omitempty"`
	// Communities are names for BGP communities, for use in prefixAdvertisements.
	// +kubebuilder:validation:MaxItems=500
	// +listType=atomic
	Communities []Community `json:"communities,omitempty"`
	// PrefixAdvertisements add communities to the routes of prefixes. The list of an object "node.<name>" replaces that
	// of the object "default".
	// +kubebuilder:validation:MaxItems=500
	// +listType=atomic
	PrefixAdvertisements []PrefixAdvertisement `json:"prefixAdvertisements,omitempty"`
	// ListenPort of BGP on the nodes. The default is 179.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	ListenPort int `json:"listenPort,omitempty"`
	// NodeMeshPassword is the TCP MD5 password of peerings between nodes.
	NodeMeshPassword *Password `json:"nodeMeshPassword,omitempty"`
	// NodeMeshMaxRestartTime is the graceful restart time between nodes, a duration in whole seconds. The default is
	// 120s.
	NodeMeshMaxRestartTime string `json:"nodeMeshMaxRestartTime,omitempty"`
	// BindMode is None (default) to listen on all addresses, or NodeIP to listen on the node's address only.
	// +kubebuilder:validation:Enum=None;NodeIP
	BindMode string `json:"bindMode,omitempty"`
	// IgnoredInterfaces are patterns of interfaces, such as "dummy*", whose addresses are not advertised.
	// +listType=set
	IgnoredInterfaces []string `json:"ignoredInterfaces,omitempty"`
	// LocalWorkloadPeeringIPV4 is the address of the node that workloads use as their BGP peer.
	LocalWorkloadPeeringIPV4 string `json:"localWorkloadPeeringIPV4,omitempty"`
	// LocalWorkloadPeeringIPV6 is the same for IPv6.
	LocalWorkloadPeeringIPV6 string `json:"localWorkloadPeeringIPV6,omitempty"`
	// ProgramClusterRoutes selects the pools whose routes the BGP speaker programs: Enabled, Disabled, EnabledIPIPOnly
	// or EnabledNoEncapOnly (default). It must complement the field of FelixConfiguration.
	// +kubebuilder:validation:Enum=Enabled;Disabled;EnabledIPIPOnly;EnabledNoEncapOnly
	ProgramClusterRoutes string `json:"programClusterRoutes,omitempty"`
	// IPv4NormalRoutePriority is the metric of routes to workloads. The default is 1024. It must equal the field of
	// FelixConfiguration.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=2147483646
	IPv4NormalRoutePriority *int `json:"ipv4NormalRoutePriority,omitempty"`
	// IPv6NormalRoutePriority is the same for IPv6.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=2147483646
	IPv6NormalRoutePriority *int `json:"ipv6NormalRoutePriority,omitempty"`
}

// CIDRBlock is a range of addresses.
type CIDRBlock struct {
	// CIDR of the range.
	// +kubebuilder:validation:Format=cidr
	CIDR string `json:"cidr,omitempty"`
}

// Community is a BGP community with a name.
type Community struct {
	// Name of the community.
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
	// Value is "aa:nn", or "aa:nn:mm" for a large community.
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:Pattern=`^(\d+):(\d+)$|^(\d+):(\d+):(\d+)$`
	Value string `json:"value,omitempty"`
}

// PrefixAdvertisement adds communities to the routes of a prefix.
type PrefixAdvertisement struct {
	// CIDR is the prefix.
	// +kubebuilder:validation:Format=cidr
	CIDR string `json:"cidr,omitempty"`
	// Communities are names from communities, or values.
	// +kubebuilder:validation:MaxItems=50
	// +listType=atomic
	Communities []string `json:"communities,omitempty"`
}
