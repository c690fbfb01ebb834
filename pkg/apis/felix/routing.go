// SPDX-License-Identifier: Apache-2.0

package felix

// Routing configures routes to workloads and between nodes.
type Routing struct {
	// IPv6Support enables IPv6. The default is true.
	IPv6Support *bool `json:"ipv6Support,omitempty"`
	// IPForwarding enables forwarding in the kernel if Enabled (default).
	IPForwarding Switch `json:"ipForwarding,omitempty"`
	// ProgramClusterRoutes selects the pools to which the node agent programs routes: Enabled, Disabled,
	// EnabledIPIPOnly (default) or EnabledNoEncapOnly. It must complement the field of BGPConfiguration.
	// +kubebuilder:validation:Enum=Enabled;Disabled;EnabledIPIPOnly;EnabledNoEncapOnly
	ProgramClusterRoutes string `json:"programClusterRoutes,omitempty"`
	// RouteSource is CalicoIPAM (default) for one route a block, or WorkloadIPs for one route a pod.
	// +kubebuilder:validation:Pattern=`^(?i)(WorkloadIPs|CalicoIPAM)?$`
	RouteSource string `json:"routeSource,omitempty"`
	// RouteRefreshInterval is the time between two comparisons of the routes with the kernel. The default is 90s; 0
	// disables them.
	RouteRefreshInterval Duration `json:"routeRefreshInterval,omitempty"`
	// RouteSyncDisabled leaves all routes alone. The default is false.
	RouteSyncDisabled *bool `json:"routeSyncDisabled,omitempty"`
	// RouteTableRange are the routing tables that the node agent may use. Deprecated: use routeTableRanges.
	RouteTableRange *RouteTableRange `json:"routeTableRange,omitempty"`
	// RouteTableRanges are the routing tables that the node agent may use. The default is 1 to 250.
	RouteTableRanges []RouteTableRange `json:"routeTableRanges,omitempty"`
	// RemoveExternalRoutes removes routes of other programs to workload interfaces. The default is true.
	RemoveExternalRoutes *bool `json:"removeExternalRoutes,omitempty"`
	// DeviceRouteProtocol is the protocol number of routes to workloads. The default is 3.
	DeviceRouteProtocol *int `json:"deviceRouteProtocol,omitempty"`
	// DeviceRouteSourceAddress is the source address of IPv4 routes to workloads. Absent lets the kernel choose.
	DeviceRouteSourceAddress Address `json:"deviceRouteSourceAddress,omitempty"`
	// DeviceRouteSourceAddressIPv6 is the source address of IPv6 routes to workloads. Absent lets the kernel choose.
	DeviceRouteSourceAddressIPv6 Address `json:"deviceRouteSourceAddressIPv6,omitempty"`
	// IPv4NormalRoutePriority is the metric of IPv4 routes to workloads. The default is 1024. It must equal the field
	// of BGPConfiguration.
	IPv4NormalRoutePriority *int `json:"ipv4NormalRoutePriority,omitempty"`
	// IPv4ElevatedRoutePriority is the metric of the IPv4 route to a workload that has just migrated to the node. The
	// default is 512.
	IPv4ElevatedRoutePriority *int `json:"ipv4ElevatedRoutePriority,omitempty"`
	// IPv6NormalRoutePriority is the metric of IPv6 routes to workloads. The default is 1024. It must equal the field
	// of BGPConfiguration.
	IPv6NormalRoutePriority *int `json:"ipv6NormalRoutePriority,omitempty"`
	// IPv6ElevatedRoutePriority is the metric of the IPv6 route to a workload that has just migrated to the node. The
	// default is 512.
	IPv6ElevatedRoutePriority *int `json:"ipv6ElevatedRoutePriority,omitempty"`
	// LiveMigrationRouteConvergenceTime is how long a route keeps the elevated metric after a migration.
	LiveMigrationRouteConvergenceTime Duration `json:"liveMigrationRouteConvergenceTime,omitempty"`
	// NetlinkTimeout is the time limit of a request to the kernel. The default is 10s.
	NetlinkTimeout Duration `json:"netlinkTimeout,omitempty"`
}
