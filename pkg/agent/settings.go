// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"calico-cni/pkg/agent/config"
	"calico-cni/pkg/netstate"
	"calico-cni/pkg/routing"
)

// settings returns the part of the configuration that the computation needs.
func settings(r config.Result) routing.Config {
	c := r.Config
	metric := c.Routes.Metric
	if r.Origins["ipv4NormalRoutePriority"] == "" {
		// The metric of the plugins. With the default of Felix, the route of each new pod would be written twice.
		metric = 0
	}
	return routing.Config{
		IPv6:  c.IPv6,
		VXLAN: forced(c.Overlay.VXLAN), IPIP: forced(c.Overlay.IPIP),
		VXLANPort: c.Overlay.VXLANPort, VXLANVNI: c.Overlay.VXLANVNI,
		VXLANMTU: c.MTU.VXLAN, VXLANMTUv6: c.MTU.VXLANv6, IPIPMTU: c.MTU.IPIP,
		ChecksumOffload: c.Overlay.ChecksumOffload == config.On,
		DeviceProtocol:  c.Routes.DeviceProtocol,
		SourceIPv4:      c.Routes.DeviceSource, SourceIPv6: c.Routes.DeviceSourceV6,
		MetricIPv4: metric, MetricIPv6: c.Routes.MetricV6,
		ExternalNodes: c.Overlay.ExternalNodes, BGP: fromBGP(c.Routes.Cluster),
		NAT: routing.NATConfig{
			Addr: c.NAT.Address, Ports: netstate.PortRange{First: c.NAT.Ports.Min, Last: c.NAT.Ports.Max},
			ExcludeNodes: c.NAT.ExcludeHosts, Interface: c.NAT.Interface,
		},
	}
}

// fromBGP returns which routes FelixConfiguration leaves to BGP. The agent writes all routes if nothing is configured.
func fromBGP(c config.ClusterRoutes) routing.BGP {
	return routing.BGP{
		Unencapsulated: c == config.ClusterRoutesIPIPOnly || c == config.ClusterRoutesDisabled,
		IPIP:           c == config.ClusterRoutesNoEncapOnly || c == config.ClusterRoutesDisabled,
	}
}

func forced(f config.Force) routing.Switch {
	switch f {
	case config.On:
		return routing.On
	case config.Off:
		return routing.Off
	}
	return routing.Auto
}
