// SPDX-License-Identifier: Apache-2.0

package netconf

import (
	"fmt"
	"net"
	"net/netip"
)

// Annotations that request addresses or other settings for a pod. The first three are also read from namespaces.
const (
	annotationPrefix      = "cni.projectcalico.org/"
	ipv4Pools             = annotationPrefix + "ipv4pools"
	ipv6Pools             = annotationPrefix + "ipv6pools"
	ipFamilies            = annotationPrefix + "ipFamilies"
	ipAddrs               = annotationPrefix + "ipAddrs"
	ipAddrsNoIPAM         = annotationPrefix + "ipAddrsNoIpam"
	floatingIPs           = annotationPrefix + "floatingIPs"
	hwAddr                = annotationPrefix + "hwAddr"
	allowedSourcePrefixes = annotationPrefix + "allowedSourcePrefixes"
)

// Families is a set of IP families. The empty set means that none were requested.
type Families struct{ IPv4, IPv6 bool }

// Annotations is what a pod and its namespace request in addition to the configuration. An annotation with an empty
// value counts as absent.
type Annotations struct {
	// IPv4Pools and IPv6Pools are names or CIDRs. Nil means no request: the configuration's pools apply. A non-nil
	// empty list requests all pools that select the node.
	IPv4Pools, IPv6Pools []string
	// Families override the configuration's assign_ipv4 and assign_ipv6.
	Families Families
	// IPAddrs are assigned through IPAM, IPAddrsNoIPAM without it. Each has at most one address per family, and only
	// one of the two may be set.
	IPAddrs, IPAddrsNoIPAM []netip.Addr
	// FloatingIPs are additional addresses that are translated to the pod's own.
	FloatingIPs []netip.Addr
	// HWAddr is the MAC address of the pod's end; nil for any.
	HWAddr net.HardwareAddr
	// AllowedSourcePrefixes are prefixes that the pod may send from, in addition to its own addresses.
	AllowedSourcePrefixes []netip.Prefix
}

// Annotations reads the annotations of a pod and its namespace, and checks them against the configuration's feature
// gates and IPAM plugin. Those of the pod take precedence. An error wraps ErrAnnotation and names the annotation, its
// object, its value and a remedy.
func (c *NetConf) Annotations(pod, namespace map[string]string) (Annotations, error) {
	r := annotationReader{pod: pod, namespace: namespace}
	a := Annotations{
		IPv4Pools:             r.pools(ipv4Pools, netip.Addr.Is4),
		IPv6Pools:             r.pools(ipv6Pools, netip.Addr.Is6),
		Families:              r.families(),
		IPAddrs:               r.ownAddrs(ipAddrs),
		IPAddrsNoIPAM:         r.ownAddrs(ipAddrsNoIPAM),
		FloatingIPs:           r.addrs(floatingIPs),
		HWAddr:                r.mac(),
		AllowedSourcePrefixes: r.prefixes(),
	}
	r.checkGates(c, a)
	if r.err != nil {
		return Annotations{}, r.err
	}
	return a, nil
}

// checkGates rejects annotations whose feature gate is disabled, or that need another IPAM plugin.
func (r *annotationReader) checkGates(c *NetConf, a Annotations) {
	const gate = "not allowed here: remove it, or set feature_control.%s to true in the CNI configuration"
	const ipam = "the CNI configuration has the IPAM plugin %q, and this annotation requires calico-ipam: remove it"
	if a.IPAddrs != nil && a.IPAddrsNoIPAM != nil {
		r.fail(r.ofPod(ipAddrs), "ipAddrsNoIpam is set as well: remove one of the two")
	}
	if a.IPAddrsNoIPAM != nil && !c.FeatureControl.IPAddrsNoIPAM {
		r.fail(r.ofPod(ipAddrsNoIPAM), fmt.Sprintf(gate, "ip_addrs_no_ipam"))
	}
	if a.FloatingIPs != nil && !c.FeatureControl.FloatingIPs {
		r.fail(r.ofPod(floatingIPs), fmt.Sprintf(gate, "floating_ips"))
	}
	if c.IPAM.Type == CalicoIPAM {
		return
	}
	if a.IPAddrs != nil {
		r.fail(r.ofPod(ipAddrs), fmt.Sprintf(ipam, c.IPAM.Type))
	}
	if a.IPAddrsNoIPAM != nil {
		r.fail(r.ofPod(ipAddrsNoIPAM), fmt.Sprintf(ipam, c.IPAM.Type))
	}
}
