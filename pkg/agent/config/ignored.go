// SPDX-License-Identifier: Apache-2.0

package config

import (
	"slices"
	"strings"
)

// ignoredField is a field of FelixConfiguration that has no effect.
type ignoredField struct {
	name string
	// alias is the name in the environment and in the file if it is another.
	alias string
	// same are values that describe what the agent does anyway.
	same []string
}

// agrees reports whether a value describes what the agent does anyway.
func (f ignoredField) agrees(text string) bool {
	return strings.EqualFold(text, "none") ||
		slices.ContainsFunc(f.same, func(s string) bool { return strings.EqualFold(s, text) })
}

// ignored returns the settings that have no effect: the other fields of FelixConfiguration, and variables that are not
// fields.
func ignored() []ignoredField {
	var all []ignoredField
	for line := range strings.Lines(ignoredFields + ignoredVariables) {
		words := strings.Fields(line)
		f := ignoredField{name: words[0]}
		for _, word := range words[1:] {
			if alias, found := strings.CutPrefix(word, "/"); found {
				f.alias = alias
			} else {
				f.same = append(f.same, word)
			}
		}
		all = append(all, f)
	}
	return all
}

// ignoredFields has one field of FelixConfiguration per line: its name, its name in the environment with "/" if it is
// another, and the values that describe what the agent does anyway. TestEveryFieldIsKnown compares the list with
// pkg/apis/felix.
const ignoredFields = `allowIPIPPacketsFromWorkloads true
allowVXLANPacketsFromWorkloads true
awsSrcDstCheck DoNothing
bpfAttachType
bpfCTLBLogFilter
bpfConnectTimeLoadBalancing TCP
bpfConnectTimeLoadBalancingEnabled
bpfConntrackLogLevel
bpfConntrackMode
bpfConntrackTimeouts
bpfDSROptoutCIDRs
bpfDataIfacePattern
bpfDisableGROForIfaces
bpfDisableUnprivileged
bpfEnabled false
bpfEnforceRPF
bpfExcludeCIDRsFromNAT
bpfExportBufferSizeMB
bpfExtToServiceConnmark
bpfExternalServiceMode
bpfForceTrackPacketsFromIfaces
bpfHostConntrackBypass
bpfHostNetworkedNATWithoutCTLB Enabled
bpfIPFragTimeout
bpfIPFragmentReassemblyEnabled
bpfJITHardening
bpfKubeProxyHealthzPort
bpfKubeProxyIptablesCleanupEnabled
bpfKubeProxyMinSyncPeriod
bpfL3IfacePattern
bpfLogFilters
bpfLogLevel
bpfMaglevMaxEndpointsPerService
bpfMaglevMaxServices
bpfMapSizeConntrack
bpfMapSizeConntrackCleanupQueue
bpfMapSizeConntrackScaling
bpfMapSizeIPSets
bpfMapSizeIfState
bpfMapSizeNATAffinity
bpfMapSizeNATBackend
bpfMapSizeNATFrontend
bpfMapSizePerCpuConntrack
bpfMapSizeRoute
bpfOverlayHostSourceIP
bpfPSNATPorts
bpfPolicyDebugEnabled
bpfProfiling
bpfRedirectToPeer
cgroupV2Path
chainInsertMode
dataplaneDriver
dataplaneWatchdogTimeout
debugDisableLogDropping
debugHost
debugMemoryProfilePath
debugPort
debugSimulateCalcGraphHangAfter
debugSimulateDataplaneApplyDelay
debugSimulateDataplaneHangAfter
defaultEndpointToHostAction Accept Return
disableConntrackInvalidCheck true
endpointReportingDelay /EndpointReportingDelaySecs
endpointReportingEnabled false
failsafeInboundHostPorts
failsafeOutboundHostPorts
featureGates
floatingIPs Disabled
flowLogsCollectorDebugTrace
flowLogsFlushInterval
flowLogsGoldmaneServer
flowLogsLocalReporter Disabled
flowLogsPolicyEvaluationMode
genericXDPEnabled false
goGCThreshold
goMaxProcs
goMemoryLimitMB
healthTimeoutOverrides
ipsetsRefreshInterval
iptablesBackend Auto NFT
iptablesFilterAllowAction
iptablesFilterDenyAction
iptablesLockProbeInterval /IptablesLockProbeIntervalMillis
iptablesMangleAllowAction
iptablesMarkMask
iptablesPostWriteCheckInterval /IptablesPostWriteCheckIntervalSecs
iptablesRefreshInterval
ipv4ElevatedRoutePriority
ipv6ElevatedRoutePriority
istioAmbientMode Disabled
istioDSCPMark
kubeNodePortRanges
liveMigrationRouteConvergenceTime
localSubnetL2Reachability Disabled
localSubnetL2ReachabilityRefreshInterval
logActionRateLimit
logActionRateLimitBurst
logDebugFilenameRegex
logFilePath
logPrefix
logSeverityFile
logSeveritySys
maxIpsetSize
metadataAddr
metadataPort
netlinkTimeout /NetlinkTimeoutSecs
nftablesFilterAllowAction
nftablesFilterDenyAction
nftablesFlowTableDataIfacePattern
nftablesFlowTableOffload Disabled
nftablesMangleAllowAction
nftablesMarkMask
nftablesMode Auto Enabled
openstackRegion
policySyncPathPrefix
prometheusWireGuardMetricsEnabled
reportingInterval /ReportingIntervalSecs 0 0s
reportingTTL /ReportingTTLSecs
routeSource CalicoIPAM
routeTableRange
routeTableRanges
serviceLoopPrevention Disabled
sidecarAccelerationEnabled false
usageReportingEnabled false
usageReportingInitialDelay /UsageReportingInitialDelaySecs
usageReportingInterval /UsageReportingIntervalSecs
useInternalDataplaneDriver true
windowsManageFirewallRules Disabled
wireguardEnabled false
wireguardEnabledV6 false
wireguardHostEncryptionEnabled false
wireguardInterfaceName
wireguardInterfaceNameV6
wireguardKeepAlive /WireguardPersistentKeepAlive 0 0s
wireguardListeningPort
wireguardListeningPortV6
wireguardMTU 0
wireguardMTUV6 0
wireguardRoutingRulePriority
wireguardThreadingEnabled false
workloadSourceSpoofing Disabled
xdpEnabled false
xdpRefreshInterval
`

// ignoredVariables has variables of Felix that are not fields, in the same form.
const ignoredVariables = `datastoreType kubernetes
etcdAddr
etcdCaFile
etcdCertFile
etcdEndpoints
etcdKeyFile
etcdScheme
felixHostname
typhaAddr
typhaCAFile
typhaCN
typhaCertFile
typhaK8sNamespace
typhaK8sServiceName
typhaKeyFile
typhaReadTimeout
typhaURISAN
typhaWriteTimeout
calicoVersion
clusterGUID
clusterType
startupCleanupDelay
ignoreLooseRPF
`
