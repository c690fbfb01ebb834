// SPDX-License-Identifier: Apache-2.0

package config

import (
	"cmp"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"time"
)

// parameter is a setting that has an effect.
type parameter struct {
	// name is the field of FelixConfiguration. alias is the name in the environment and in the file if it is another.
	name, alias string
	// fallback is the default. Empty means the zero value.
	fallback string
	// required says that the zero value is invalid.
	required bool
	// meaning describes the setting in the documentation.
	meaning string
	parse   func(*Config, string) error
}

// Setting describes a setting in the documentation.
type Setting struct{ Field, Variable, Default, Meaning string }

// Settings describes all settings that have an effect.
func Settings() []Setting {
	var all []Setting
	for _, p := range parameters() {
		all = append(all, Setting{p.name, variablePrefix + strings.ToUpper(cmp.Or(p.alias, p.name)), p.fallback, p.meaning})
	}
	return all
}

// set sets the parameter. Felix defines "none" as the zero value.
func (p parameter) set(c *Config, text string) error {
	if text == "" || strings.EqualFold(text, "none") {
		if p.required {
			return expected("a value")
		}
		text = ""
	}
	return p.parse(c, text)
}

// par returns a parameter that has the zero value if it is not set.
func par[T any](name, meaning string, parse func(string) (T, error), at func(*Config) *T) parameter {
	return parameter{name: name, meaning: meaning, parse: func(c *Config, text string) error {
		var value T
		var err error
		if text != "" {
			value, err = parse(text)
		}
		if ignored := partial(""); err == nil || errors.As(err, &ignored) {
			*at(c) = value
		}
		return err
	}}
}

// or returns the parameter with a default.
func (p parameter) or(fallback string) parameter {
	p.fallback = fallback
	return p
}

// must returns the parameter with a default, and without zero value.
func (p parameter) must(fallback string) parameter {
	p.fallback, p.required = fallback, true
	return p
}

// also returns the parameter with another name in the environment and in the file.
func (p parameter) also(alias string) parameter {
	p.alias = alias
	return p
}

// parameters returns all settings that have an effect.
func parameters() []parameter {
	all := generalParameters()
	all = append(all, overlayParameters()...)
	all = append(all, routeParameters()...)
	all = append(all, natParameters()...)
	return append(all, serverParameters()...)
}

func generalParameters() []parameter {
	return []parameter{
		par("logSeverityScreen", "lowest level that is logged: Trace, Debug, Info, Warning, Error or Fatal", level,
			func(c *Config) *slog.Level { return &c.LogLevel }).must("Info"),
		par("ipv6Support", "enables IPv6", boolean, func(c *Config) *bool { return &c.IPv6 }).or("true"),
		par("ipForwarding", "enables forwarding in the kernel: Enabled or Disabled", enabled,
			func(c *Config) *bool { return &c.IPForwarding }).must("Enabled"),
		par("endpointStatusPathPrefix", "directory that contains the directory endpoint-status; `none` disables it",
			path, func(c *Config) *string { return &c.EndpointStatusPath }).or("/var/run/calico"),
		par("interfacePrefix", "prefix of the names of workload interfaces, or a list separated by commas", prefixes,
			func(c *Config) *[]string { return &c.Interfaces.Prefixes }).must("cali"),
		par("interfaceExclude", "names of host interfaces that are ignored, separated by commas; between slashes, "+
			"regular expressions", exclude, func(c *Config) *string { return &c.Interfaces.Exclude }).or("kube-ipvs0"),
		par("interfaceRefreshInterval", "time between two full scans of the interfaces; 0 disables them", duration,
			func(c *Config) *time.Duration { return &c.Interfaces.RefreshInterval }).or("90s"),
	}
}

func overlayParameters() []parameter {
	const auto = "; 0 means that of the host less the overhead"
	return []parameter{
		par("ipipMTU", "MTU of the IPIP device"+auto, mtu(minMTU), func(c *Config) *int { return &c.MTU.IPIP }).
			or("0").also("IpInIpMtu"),
		par("vxlanMTU", "MTU of the IPv4 VXLAN device"+auto, mtu(minMTU), func(c *Config) *int { return &c.MTU.VXLAN }).
			or("0"),
		par("vxlanMTUV6", "MTU of the IPv6 VXLAN device"+auto, mtu(minMTUv6),
			func(c *Config) *int { return &c.MTU.VXLANv6 }).or("0"),
		par("mtuIfacePattern", "regular expression for host interfaces whose smallest MTU is that of the host; if "+
			"absent, the interfaces of the node's address and of the default route", pattern,
			func(c *Config) *string { return &c.MTU.HostPattern }),
		par("requireMTUFile", "the agent is not ready if it cannot write the file with the MTU of pods", boolean,
			func(c *Config) *bool { return &c.MTU.RequireFile }).or("false"),
		par("ipipEnabled", "forces IPIP on or off; if absent, as the pools need it", force,
			func(c *Config) *Force { return &c.Overlay.IPIP }).also("IpInIpEnabled"),
		par("vxlanEnabled", "forces VXLAN on or off; if absent, as the pools need it", force,
			func(c *Config) *Force { return &c.Overlay.VXLAN }),
		par("vxlanPort", "UDP port of VXLAN", port, func(c *Config) *uint16 { return &c.Overlay.VXLANPort }).
			must("4789"),
		par("vxlanVNI", "network identifier of VXLAN", whole(1<<24-1),
			func(c *Config) *int { return &c.Overlay.VXLANVNI }).must("4096"),
		par("featureDetectOverride", "ChecksumOffloadBroken=false switches the checksum offload of VXLAN devices on",
			checksumOffload, func(c *Config) *Force { return &c.Overlay.ChecksumOffload }),
		par("externalNodesList", "CIDRs of further hosts whose IPIP and VXLAN packets are accepted, separated by commas",
			cidrs, func(c *Config) *[]netip.Prefix { return &c.Overlay.ExternalNodes }).also("ExternalNodesCIDRList"),
	}
}

func routeParameters() []parameter {
	return []parameter{
		par("programClusterRoutes", "pools to which the agent programs routes: Enabled, Disabled, EnabledIPIPOnly or "+
			"EnabledNoEncapOnly; if absent, all", oneOf(ClusterRoutesEnabled, ClusterRoutesDisabled,
			ClusterRoutesIPIPOnly, ClusterRoutesNoEncapOnly), func(c *Config) *ClusterRoutes { return &c.Routes.Cluster }),
		par("routeSyncDisabled", "leaves all routes alone", boolean,
			func(c *Config) *bool { return &c.Routes.SyncDisabled }).or("false"),
		par("routeRefreshInterval", "time between two comparisons of the routes with the kernel; 0 disables them",
			duration, func(c *Config) *time.Duration { return &c.Routes.RefreshInterval }).or("90s"),
		par("removeExternalRoutes", "removes routes of other programs to workload interfaces", boolean,
			func(c *Config) *bool { return &c.Routes.RemoveExternal }).or("true"),
		par("deviceRouteProtocol", "protocol number of routes to workloads", whole(255),
			func(c *Config) *int { return &c.Routes.DeviceProtocol }).must("3"),
		par("deviceRouteSourceAddress", "source address of IPv4 routes to workloads", address(false),
			func(c *Config) *netip.Addr { return &c.Routes.DeviceSource }),
		par("deviceRouteSourceAddressIPv6", "source address of IPv6 routes to workloads", address(true),
			func(c *Config) *netip.Addr { return &c.Routes.DeviceSourceV6 }),
		par("ipv4NormalRoutePriority", "metric of IPv4 routes to workloads", whole(1<<31-2),
			func(c *Config) *int { return &c.Routes.Metric }).must("1024"),
		par("ipv6NormalRoutePriority", "metric of IPv6 routes to workloads", whole(1<<31-2),
			func(c *Config) *int { return &c.Routes.MetricV6 }).must("1024"),
	}
}

func natParameters() []parameter {
	return []parameter{
		par("natOutgoingAddress", "source address of traffic that leaves a pool with natOutgoing; if absent, that of "+
			"the outgoing interface", address(false), func(c *Config) *netip.Addr { return &c.NAT.Address }),
		par("natPortRange", "source ports of such traffic, such as 32768:60999", portRange,
			func(c *Config) *PortRange { return &c.NAT.Ports }),
		par("natOutgoingExclusions", "destinations that keep the pod's address: IPPoolsOnly or IPPoolsAndHostIPs",
			choice("IPPoolsOnly", "IPPoolsAndHostIPs"), func(c *Config) *bool { return &c.NAT.ExcludeHosts }).
			must("IPPoolsOnly"),
		par("iptablesNATOutgoingInterfaceFilter", "limits natOutgoing to one outgoing interface", iface,
			func(c *Config) *string { return &c.NAT.Interface }),
		par("nftablesRefreshInterval", "time between two comparisons of the rules with the kernel; 0 disables them",
			duration, func(c *Config) *time.Duration { return &c.NAT.RefreshInterval }).or("180s"),
	}
}

func serverParameters() []parameter {
	return []parameter{
		par("healthEnabled", "serves /liveness and /readiness", boolean,
			func(c *Config) *bool { return &c.Health.Enabled }).or("false"),
		par("healthHost", "address for health", host, func(c *Config) *string { return &c.Health.Host }).must("localhost"),
		par("healthPort", "port for health", port, func(c *Config) *uint16 { return &c.Health.Port }).must("9099"),
		par("prometheusMetricsEnabled", "serves metrics", boolean,
			func(c *Config) *bool { return &c.Metrics.Enabled }).or("false"),
		par("prometheusMetricsHost", "address for metrics; if absent, every address", host,
			func(c *Config) *string { return &c.Metrics.Host }),
		par("prometheusMetricsPort", "port for metrics", port, func(c *Config) *uint16 { return &c.Metrics.Port }).
			must("9091"),
		par("prometheusMetricsCAFile", "certificates of authorities for clients", path,
			func(c *Config) *string { return &c.Metrics.CAFile }),
		par("prometheusMetricsCertFile", "certificate of the server; if absent, metrics are served without TLS", path,
			func(c *Config) *string { return &c.Metrics.CertFile }),
		par("prometheusMetricsKeyFile", "key of the server", path, func(c *Config) *string { return &c.Metrics.KeyFile }),
		par("prometheusMetricsClientAuth", "check of client certificates, as in crypto/tls",
			oneOf("RequireAndVerifyClientCert", "RequireAnyClientCert", "VerifyClientCertIfGiven", "NoClientCert"),
			func(c *Config) *string { return &c.Metrics.ClientAuth }).must("RequireAndVerifyClientCert"),
		par("prometheusGoMetricsEnabled", "includes the metrics of the Go runtime", boolean,
			func(c *Config) *bool { return &c.Metrics.Go }).or("true"),
		par("prometheusProcessMetricsEnabled", "includes the metrics of the process", boolean,
			func(c *Config) *bool { return &c.Metrics.Process }).or("true"),
	}
}
