// SPDX-License-Identifier: Apache-2.0

// Package config computes the configuration of the node agent from its sources: the environment, the file felix.cfg and
// the FelixConfiguration objects. Names, precedence and defaults are those of Felix.
//
// The package is pure. A bad setting is a finding beside the result, not an error: the default applies in its place.
package config

import (
	"log/slog"
	"net/netip"
	"time"
)

// Config is the configuration of the node agent. It has the settings that have an effect.
type Config struct {
	// LogLevel is the lowest level that is logged.
	LogLevel slog.Level
	// IPv6 enables IPv6.
	IPv6 bool
	// IPForwarding enables forwarding in the kernel.
	IPForwarding bool
	// EndpointStatusPath is the directory that contains the directory endpoint-status. Empty disables the files.
	EndpointStatusPath string

	Interfaces Interfaces
	MTU        MTU
	Overlay    Overlay
	Routes     Routes
	NAT        NAT
	Health     Health
	Metrics    Metrics
}

// Interfaces are the settings of network interfaces.
type Interfaces struct {
	// Prefixes begin the names of workload interfaces. There is at least one.
	Prefixes []string
	// Exclude is a regular expression for the names of host interfaces that are ignored. Empty ignores none.
	Exclude string
	// RefreshInterval is the time between two full scans of the interfaces; 0 disables them.
	RefreshInterval time.Duration
}

// MTU are the settings of the MTUs of tunnel devices and pods. 0 means that of the host less the overhead.
type MTU struct {
	IPIP, VXLAN, VXLANv6 int
	// HostPattern is a regular expression for host interfaces: the smallest of their MTUs is that of the host. Empty
	// means the interfaces of the node's address and of the default route.
	HostPattern string
	// RequireFile makes the agent unready if it cannot write the file with the MTU of pods.
	RequireFile bool
}

// Force overrides a feature that is otherwise enabled if something needs it.
type Force string

// The values of Force. The zero value is AsNeeded.
const (
	AsNeeded Force = ""
	On       Force = "on"
	Off      Force = "off"
)

// Overlay are the settings of the overlays.
type Overlay struct {
	// IPIP and VXLAN say whether the devices exist. AsNeeded means if a pool uses the encapsulation.
	IPIP, VXLAN Force
	// VXLANPort is the UDP port, VXLANVNI the network identifier.
	VXLANPort uint16
	VXLANVNI  int
	// ChecksumOffload is the transmit checksum offload of VXLAN devices: Off if AsNeeded.
	ChecksumOffload Force
	// ExternalNodes are further hosts whose encapsulated packets are accepted.
	ExternalNodes []netip.Prefix
}

// ClusterRoutes selects the pools without encapsulation or with IPIP to which the agent programs routes.
type ClusterRoutes string

// The values of ClusterRoutes, as in FelixConfiguration.
const (
	ClusterRoutesEnabled     ClusterRoutes = "Enabled"
	ClusterRoutesDisabled    ClusterRoutes = "Disabled"
	ClusterRoutesIPIPOnly    ClusterRoutes = "EnabledIPIPOnly"
	ClusterRoutesNoEncapOnly ClusterRoutes = "EnabledNoEncapOnly"
)

// Routes are the settings of routes.
type Routes struct {
	// Cluster selects the pools to which the agent programs routes. Empty means that nobody has set it.
	Cluster ClusterRoutes
	// SyncDisabled leaves all routes alone.
	SyncDisabled bool
	// RefreshInterval is the time between two comparisons of the routes with the kernel; 0 disables them.
	RefreshInterval time.Duration
	// RemoveExternal removes routes of other programs to workload interfaces.
	RemoveExternal bool
	// DeviceProtocol is the protocol of routes to workloads; DeviceSource and DeviceSourceV6 are their source addresses.
	// The zero value leaves the choice to the kernel.
	DeviceProtocol               int
	DeviceSource, DeviceSourceV6 netip.Addr
	// Metric and MetricV6 are the metrics of routes to workloads.
	Metric, MetricV6 int
}

// NAT are the settings of outgoing NAT.
type NAT struct {
	// Address is the source address of outgoing traffic. The zero value means that of the outgoing interface.
	Address netip.Addr
	// Ports are the source ports. The zero value lets the kernel choose.
	Ports PortRange
	// ExcludeHosts keeps the pod's address in traffic to nodes, and not only to pools.
	ExcludeHosts bool
	// Interface limits outgoing NAT to one outgoing interface. Empty means all.
	Interface string
	// RefreshInterval is the time between two comparisons of the rules with the kernel; 0 disables them.
	RefreshInterval time.Duration
}

// PortRange is a range of ports, with both ends.
type PortRange struct{ Min, Max uint16 }

// Health are the settings of the server of /liveness and /readiness.
type Health struct {
	Enabled bool
	Host    string
	Port    uint16
}

// Metrics are the settings of the server of metrics.
type Metrics struct {
	Enabled bool
	// Host is the address of the server. Empty means every address.
	Host string
	Port uint16
	// CAFile, CertFile and KeyFile are the paths of the files for TLS. Without CertFile there is no TLS.
	CAFile, CertFile, KeyFile string
	// ClientAuth is the check of client certificates, by the name of its constant in crypto/tls.
	ClientAuth string
	// Go and Process include the metrics of the Go runtime and of the process.
	Go, Process bool
}

// Default returns the configuration without any setting.
func Default() Config {
	var c Config
	for _, p := range parameters() {
		// TestDefaultsAreValid checks that there is no error.
		_ = p.set(&c, p.fallback)
	}
	return c
}
