// SPDX-License-Identifier: Apache-2.0

package felix

// Endpoints configures the interfaces of workloads and of the host.
type Endpoints struct {
	// InterfacePrefix is the prefix of the names of workload interfaces, or a comma-separated list. The default is
	// cali.
	InterfacePrefix string `json:"interfacePrefix,omitempty"`
	// InterfaceExclude are names of host interfaces that are ignored, comma-separated; between slashes, regular
	// expressions. The default is kube-ipvs0.
	InterfaceExclude string `json:"interfaceExclude,omitempty"`
	// InterfaceRefreshInterval is the time between two full scans of the interfaces. The default is 90s; 0 disables
	// them.
	InterfaceRefreshInterval Duration `json:"interfaceRefreshInterval,omitempty"`
	// DefaultEndpointToHostAction applies to traffic from a workload to its own node that policy allowed: Drop
	// (default), Accept, or Return to go on with the rules of the host.
	// +kubebuilder:validation:Pattern=`^(?i)(Drop|Accept|Return)?$`
	DefaultEndpointToHostAction string `json:"defaultEndpointToHostAction,omitempty"`
	// WorkloadSourceSpoofing is Disabled (default), or Any to honour a pod's annotation of further source addresses.
	// +kubebuilder:validation:Pattern=`^(?i)(Disabled|Any)?$`
	WorkloadSourceSpoofing string `json:"workloadSourceSpoofing,omitempty"`
	// FloatingIPs honours a pod's annotation of floating addresses if Enabled. The default is Disabled.
	FloatingIPs Switch `json:"floatingIPs,omitempty"`
	// AllowVXLANPacketsFromWorkloads allows workloads to send VXLAN packets. The default is false.
	AllowVXLANPacketsFromWorkloads *bool `json:"allowVXLANPacketsFromWorkloads,omitempty"`
	// AllowIPIPPacketsFromWorkloads allows workloads to send IPIP packets. The default is false.
	AllowIPIPPacketsFromWorkloads *bool `json:"allowIPIPPacketsFromWorkloads,omitempty"`
	// EndpointReportingEnabled writes the state of endpoints into etcd. The default is false.
	EndpointReportingEnabled *bool `json:"endpointReportingEnabled,omitempty"`
	// EndpointReportingDelay is the time before the state of an endpoint is written into etcd. The default is 1s.
	EndpointReportingDelay Duration `json:"endpointReportingDelay,omitempty"`
	// EndpointStatusPathPrefix is the directory that contains the directory endpoint-status, with one file for each
	// ready endpoint. The default is /var/run/calico.
	EndpointStatusPathPrefix string `json:"endpointStatusPathPrefix,omitempty"`
	// PolicySyncPathPrefix is the directory of the sockets by which proxies learn policies. Absent disables them.
	PolicySyncPathPrefix string `json:"policySyncPathPrefix,omitempty"`
	// LocalSubnetL2Reachability is PodsAndLoadBalancers to answer ARP and NDP for pods and load balancers in the subnet
	// of the node, or Disabled (default).
	// +kubebuilder:validation:Enum=Disabled;PodsAndLoadBalancers
	LocalSubnetL2Reachability string `json:"localSubnetL2Reachability,omitempty"`
	// LocalSubnetL2ReachabilityRefreshInterval is the time between two comparisons of these answers with the kernel, a
	// duration.
	LocalSubnetL2ReachabilityRefreshInterval string `json:"localSubnetL2ReachabilityRefreshInterval,omitempty"`
}
