// SPDX-License-Identifier: Apache-2.0

package felix

// Policy configures the enforcement of policies.
type Policy struct {
	// FailsafeInboundHostPorts are open to the host whatever policies say. The default is TCP 22, 179, 2379, 2380,
	// 5473, 6443, 6666, 6667 and UDP 68. An empty list means none.
	FailsafeInboundHostPorts []HostPort `json:"failsafeInboundHostPorts,omitzero"`
	// FailsafeOutboundHostPorts are open from the host whatever policies say. The default is UDP 53, 67 and TCP 179,
	// 2379, 2380, 5473, 6443, 6666, 6667. An empty list means none.
	FailsafeOutboundHostPorts []HostPort `json:"failsafeOutboundHostPorts,omitzero"`
	// DisableConntrackInvalidCheck allows packets that connection tracking calls invalid. The default is false.
	DisableConntrackInvalidCheck *bool `json:"disableConntrackInvalidCheck,omitempty"`
	// ServiceLoopPrevention applies to packets for Service addresses that nothing translated: Drop (default), Reject,
	// or Disabled to forward them.
	// +kubebuilder:validation:Pattern=`^(?i)(Drop|Reject|Disabled)?$`
	ServiceLoopPrevention string `json:"serviceLoopPrevention,omitempty"`
	// LogPrefix begins the messages of rules with action Log. It may contain %t, %k, %n and %p for tier, kind, name,
	// and namespace with name. The default is calico-packet.
	// +kubebuilder:validation:Pattern=`^([a-zA-Z0-9%: /_-])*$`
	LogPrefix string `json:"logPrefix,omitempty"`
	// LogActionRateLimit limits the messages of rules with action Log, such as 10/second. Absent means no limit.
	// +kubebuilder:validation:Pattern=`^[1-9]\d{0,3}/(?:second|minute|hour|day)$`
	LogActionRateLimit string `json:"logActionRateLimit,omitempty"`
	// LogActionRateLimitBurst is the number of messages before the limit applies, 0 to 9999. The default is 5.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=9999
	LogActionRateLimitBurst *int `json:"logActionRateLimitBurst,omitempty"`
	// FlowLogsFlushInterval is the time between two reports of flows. The default is 5m.
	FlowLogsFlushInterval Duration `json:"flowLogsFlushInterval,omitempty"`
	// FlowLogsCollectorDebugTrace logs the work of the flow collector in detail. The default is false.
	FlowLogsCollectorDebugTrace *bool `json:"flowLogsCollectorDebugTrace,omitempty"`
	// FlowLogsGoldmaneServer is the address of the server that receives flows. Absent disables them.
	FlowLogsGoldmaneServer string `json:"flowLogsGoldmaneServer,omitempty"`
	// FlowLogsLocalReporter offers flows on a local socket if Enabled. The default is Disabled.
	FlowLogsLocalReporter Switch `json:"flowLogsLocalReporter,omitempty"`
	// FlowLogsPolicyEvaluationMode is Continuous (default) to evaluate policies again for open flows, or None.
	// +kubebuilder:validation:Enum=None;Continuous
	FlowLogsPolicyEvaluationMode string `json:"flowLogsPolicyEvaluationMode,omitempty"`
}
