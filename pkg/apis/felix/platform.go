// SPDX-License-Identifier: Apache-2.0

package felix

import "k8s.io/apimachinery/pkg/util/intstr"

// Platform has the settings of other platforms.
type Platform struct {
	// DataplaneDriver is the path of another program that implements the data plane.
	DataplaneDriver string `json:"dataplaneDriver,omitempty"`
	// UseInternalDataplaneDriver uses the data plane of the node agent. The default is true.
	UseInternalDataplaneDriver *bool `json:"useInternalDataplaneDriver,omitempty"`
	// CgroupV2Path is where cgroup v2 is mounted on the host.
	CgroupV2Path string `json:"cgroupV2Path,omitempty"`
	// AWSSrcDstCheck sets the check of addresses of an EC2 instance: DoNothing (default), Enable or Disable.
	// +kubebuilder:validation:Enum=DoNothing;Enable;Disable
	AWSSrcDstCheck string `json:"awsSrcDstCheck,omitempty"`
	// IstioAmbientMode supports Istio's ambient mode if Enabled. The default is Disabled.
	IstioAmbientMode Switch `json:"istioAmbientMode,omitempty"`
	// IstioDSCPMark is the DSCP value of packets between pods and Istio, as a number or a name. The default is 23.
	IstioDSCPMark *intstr.IntOrString `json:"istioDSCPMark,omitempty"`
	// MetadataAddr is the address of OpenStack's metadata server. The default is 127.0.0.1; none disables it.
	MetadataAddr string `json:"metadataAddr,omitempty"`
	// MetadataPort is the port of OpenStack's metadata server. The default is 8775.
	MetadataPort *int `json:"metadataPort,omitempty"`
	// OpenstackRegion is the region of the node in OpenStack.
	OpenstackRegion string `json:"openstackRegion,omitempty"`
	// WindowsManageFirewallRules configures the firewall of Windows for the metrics if Enabled. The default is
	// Disabled.
	WindowsManageFirewallRules Switch `json:"windowsManageFirewallRules,omitempty"`
}
