// SPDX-License-Identifier: Apache-2.0

package felix

import "k8s.io/apimachinery/pkg/util/intstr"

// BPF configures the eBPF data plane. This project has none: the fields have no effect.
type BPF struct {
	// BPFEnabled uses the eBPF data plane. The default is false.
	BPFEnabled *bool `json:"bpfEnabled,omitempty"`
	// BPFAttachType is how programs are attached to interfaces: TC, TCX (default) or Netkit.
	// +kubebuilder:validation:Enum=TC;TCX;Netkit
	BPFAttachType string `json:"bpfAttachType,omitempty"`
	// BPFDisableUnprivileged forbids unprivileged processes to use eBPF. The default is true.
	BPFDisableUnprivileged *bool `json:"bpfDisableUnprivileged,omitempty"`
	// BPFJITHardening is Auto (default) to lower a hardening that makes programs slow, or Strict to keep it.
	// +kubebuilder:validation:Enum=Auto;Strict
	BPFJITHardening string `json:"bpfJITHardening,omitempty"`
	// BPFLogLevel is the level of the programs' messages: Off (default), Info or Debug, in any case.
	// +kubebuilder:validation:Pattern=`^(?i)(Off|Info|Debug)?$`
	BPFLogLevel string `json:"bpfLogLevel,omitempty"`
	// BPFLogFilters are packet filters, by interface, of the packets that programs log.
	BPFLogFilters map[string]string `json:"bpfLogFilters,omitempty"`
	// BPFCTLBLogFilter selects messages of connect-time load balancing; all means every one.
	BPFCTLBLogFilter string `json:"bpfCTLBLogFilter,omitempty"`
	// BPFDataIfacePattern selects host interfaces to attach programs to, as a regular expression.
	BPFDataIfacePattern string `json:"bpfDataIfacePattern,omitempty"`
	// BPFL3IfacePattern selects host interfaces without Ethernet header, as a regular expression.
	BPFL3IfacePattern string `json:"bpfL3IfacePattern,omitempty"`
	// BPFDisableGROForIfaces selects interfaces on which GRO is switched off, as a regular expression.
	BPFDisableGROForIfaces string `json:"bpfDisableGROForIfaces,omitempty"`
	// BPFConnectTimeLoadBalancing translates Service addresses when a socket connects: TCP (default), Enabled for UDP
	// as well, or Disabled.
	// +kubebuilder:validation:Enum=TCP;Enabled;Disabled
	BPFConnectTimeLoadBalancing string `json:"bpfConnectTimeLoadBalancing,omitempty"`
	// BPFConnectTimeLoadBalancingEnabled is the older form. Deprecated: use bpfConnectTimeLoadBalancing.
	BPFConnectTimeLoadBalancingEnabled *bool `json:"bpfConnectTimeLoadBalancingEnabled,omitempty"`
	// BPFHostNetworkedNATWithoutCTLB translates Service addresses for processes of the host without connect-time load
	// balancing if Enabled (default).
	BPFHostNetworkedNATWithoutCTLB Switch `json:"bpfHostNetworkedNATWithoutCTLB,omitempty"`
	// BPFExternalServiceMode is how traffic for a node port reaches the pod's node: Tunnel (default), or DSR to answer
	// directly, in any case.
	// +kubebuilder:validation:Pattern=`^(?i)(Tunnel|DSR)?$`
	BPFExternalServiceMode string `json:"bpfExternalServiceMode,omitempty"`
	// BPFDSROptoutCIDRs are CIDRs of clients that are answered through the first node despite DSR.
	BPFDSROptoutCIDRs []string `json:"bpfDSROptoutCIDRs,omitempty"`
	// BPFExtToServiceConnmark is a mark for connections from outside to a Service. The default is 0.
	BPFExtToServiceConnmark *int `json:"bpfExtToServiceConnmark,omitempty"`
	// BPFEnforceRPF checks source addresses on host interfaces: Disabled, Strict or Loose (default), in any case.
	// +kubebuilder:validation:Pattern=`^(?i)(Disabled|Strict|Loose)?$`
	BPFEnforceRPF string `json:"bpfEnforceRPF,omitempty"`
	// BPFExcludeCIDRsFromNAT are CIDRs of Service addresses that are not translated.
	BPFExcludeCIDRsFromNAT []string `json:"bpfExcludeCIDRsFromNAT,omitempty"`
	// BPFForceTrackPacketsFromIfaces are interfaces whose packets the kernel tracks as well. The default is docker+.
	BPFForceTrackPacketsFromIfaces []string `json:"bpfForceTrackPacketsFromIfaces,omitempty"`
	// BPFHostConntrackBypass bypasses the kernel's connection tracking for workloads. The default is true.
	BPFHostConntrackBypass *bool `json:"bpfHostConntrackBypass,omitempty"`
	// BPFOverlayHostSourceIP is the source address of the host in tunnels: HostAddress or TunnelAddress.
	// +kubebuilder:validation:Enum=TunnelAddress;HostAddress
	BPFOverlayHostSourceIP string `json:"bpfOverlayHostSourceIP,omitempty"`
	// BPFIPFragmentReassemblyEnabled reassembles fragments for policy.
	BPFIPFragmentReassemblyEnabled *bool `json:"bpfIPFragmentReassemblyEnabled,omitempty"`
	// BPFIPFragTimeout is how long a fragment waits for the others.
	BPFIPFragTimeout Duration `json:"bpfIPFragTimeout,omitempty"`
	// BPFKubeProxyIptablesCleanupEnabled removes the rules of kube-proxy. The default is true.
	BPFKubeProxyIptablesCleanupEnabled *bool `json:"bpfKubeProxyIptablesCleanupEnabled,omitempty"`
	// BPFKubeProxyMinSyncPeriod is the least time between two updates of Services. The default is 1s.
	BPFKubeProxyMinSyncPeriod Duration `json:"bpfKubeProxyMinSyncPeriod,omitempty"`
	// BPFKubeProxyHealthzPort serves health in the place of kube-proxy. The default is 10256; 0 disables it.
	BPFKubeProxyHealthzPort *int `json:"bpfKubeProxyHealthzPort,omitempty"`
	// BPFMaglevMaxEndpointsPerService is the number of endpoints for which tables of consistent hashing are sized.
	BPFMaglevMaxEndpointsPerService *int `json:"bpfMaglevMaxEndpointsPerService,omitempty"`
	// BPFMaglevMaxServices is the number of Services for which tables of consistent hashing are sized.
	BPFMaglevMaxServices *int `json:"bpfMaglevMaxServices,omitempty"`
	// BPFConntrackMode is who removes old connections: Auto (default), Userspace or BPFProgram.
	// +kubebuilder:validation:Enum=Auto;Userspace;BPFProgram
	BPFConntrackMode string `json:"bpfConntrackMode,omitempty"`
	// BPFConntrackLogLevel is the level of messages about removed connections: Off (default) or Debug.
	// +kubebuilder:validation:Enum=Off;Debug
	BPFConntrackLogLevel string `json:"bpfConntrackLogLevel,omitempty"`
	// BPFConntrackTimeouts are the times after which an idle connection is forgotten.
	BPFConntrackTimeouts *ConntrackTimeouts `json:"bpfConntrackTimeouts,omitempty"`
	// BPFMapSizeConntrack is the number of connections. The default is 512000.
	BPFMapSizeConntrack *int `json:"bpfMapSizeConntrack,omitempty"`
	// BPFMapSizePerCPUConntrack is the number of connections a CPU, which replaces the total. 0 (default) means not.
	BPFMapSizePerCPUConntrack *int `json:"bpfMapSizePerCpuConntrack,omitempty"`
	// BPFMapSizeConntrackScaling is DoubleIfFull (default) to enlarge the table of connections, or Disabled, in any
	// case.
	// +kubebuilder:validation:Pattern=`^(?i)(Disabled|DoubleIfFull)?$`
	BPFMapSizeConntrackScaling string `json:"bpfMapSizeConntrackScaling,omitempty"`
	// BPFMapSizeConntrackCleanupQueue is the number of connections that wait for removal. The default is 100000.
	// +kubebuilder:validation:Minimum=1
	BPFMapSizeConntrackCleanupQueue *int `json:"bpfMapSizeConntrackCleanupQueue,omitempty"`
	// BPFMapSizeNATFrontend is the number of Service ports. The default is 65536.
	BPFMapSizeNATFrontend *int `json:"bpfMapSizeNATFrontend,omitempty"`
	// BPFMapSizeNATBackend is the number of endpoints of Services. The default is 262144.
	BPFMapSizeNATBackend *int `json:"bpfMapSizeNATBackend,omitempty"`
	// BPFMapSizeNATAffinity is the number of clients with session affinity. The default is 65536.
	BPFMapSizeNATAffinity *int `json:"bpfMapSizeNATAffinity,omitempty"`
	// BPFMapSizeRoute is the number of routes. The default is 262144.
	BPFMapSizeRoute *int `json:"bpfMapSizeRoute,omitempty"`
	// BPFMapSizeIPSets is the number of members of all sets. The default is 1048576.
	BPFMapSizeIPSets *int `json:"bpfMapSizeIPSets,omitempty"`
	// BPFMapSizeIfState is the number of interfaces. The default is 1000.
	BPFMapSizeIfState *int `json:"bpfMapSizeIfState,omitempty"`
	// BPFPSNATPorts are the ports that replace a source port in use. The default is 20000:29999.
	BPFPSNATPorts *intstr.IntOrString `json:"bpfPSNATPorts,omitempty"`
	// BPFPolicyDebugEnabled keeps information about programs for debugging. The default is true.
	BPFPolicyDebugEnabled *bool `json:"bpfPolicyDebugEnabled,omitempty"`
	// BPFProfiling measures the programs if Enabled. The default is Disabled.
	BPFProfiling Switch `json:"bpfProfiling,omitempty"`
	// BPFRedirectToPeer delivers packets directly into the pod's namespace if Enabled.
	BPFRedirectToPeer Switch `json:"bpfRedirectToPeer,omitempty"`
	// BPFExportBufferSizeMB is the size of the buffer for events, in MB. The default is 1.
	BPFExportBufferSizeMB *int `json:"bpfExportBufferSizeMB,omitempty"`
}

// ConntrackTimeouts are the times after which the eBPF data plane forgets an idle connection.
type ConntrackTimeouts struct {
	// CreationGracePeriod keeps a new connection at least this long. The default is 10s.
	CreationGracePeriod ConntrackTimeout `json:"creationGracePeriod,omitempty"`
	// TCPSynSent is for TCP connections that are being opened. The default is 20s.
	TCPSynSent ConntrackTimeout `json:"tcpSynSent,omitempty"`
	// TCPEstablished is for open TCP connections. The default is 1h.
	TCPEstablished ConntrackTimeout `json:"tcpEstablished,omitempty"`
	// TCPFinsSeen is for TCP connections that both sides closed. The default is Auto.
	TCPFinsSeen ConntrackTimeout `json:"tcpFinsSeen,omitempty"`
	// TCPResetSeen is for TCP connections that were reset. The default is 40s.
	TCPResetSeen ConntrackTimeout `json:"tcpResetSeen,omitempty"`
	// UDPTimeout is for UDP. The default is 60s.
	UDPTimeout ConntrackTimeout `json:"udpTimeout,omitempty"`
	// ICMPTimeout is for ICMP. The default is 5s.
	ICMPTimeout ConntrackTimeout `json:"icmpTimeout,omitempty"`
	// GenericTimeout is for other protocols. The default is 10m.
	GenericTimeout ConntrackTimeout `json:"genericTimeout,omitempty"`
}
