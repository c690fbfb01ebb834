package netconf

import (
	"fmt"
	"net"
	"net/netip"
)

// Annotations by which a pod asks for an address, or for more. The first three also stand on namespaces.
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

// Families are IP families; none at all means that nothing was said.
type Families struct{ IPv4, IPv6 bool }

// Annotations is what a pod and its namespace ask for beyond the configuration. An annotation with an empty value counts
// as absent.
type Annotations struct {
	// IPv4Pools and IPv6Pools are names or CIDRs. Nil means that nothing was said and the configuration's hold; an empty
	// list that is not nil asks for all pools that select the node.
	IPv4Pools, IPv6Pools []string
	// Families override the configuration's assign_ipv4 and assign_ipv6.
	Families Families
	// IPAddrs are to be assigned by IPAM, IPAddrsNoIPAM without it: at most one of a family, and only one of the two lists.
	IPAddrs, IPAddrsNoIPAM []netip.Addr
	// FloatingIPs are further addresses that are translated to the pod's own.
	FloatingIPs []netip.Addr
	// HWAddr is the MAC address of the pod's end; nil for any.
	HWAddr net.HardwareAddr
	// AllowedSourcePrefixes are what the pod may send from besides its own addresses.
	AllowedSourcePrefixes []netip.Prefix
}

// Annotations reads the annotations of a pod and of its namespace, the pod's first, in the light of the configuration's
// gates and IPAM plugin. An error wraps ErrAnnotation, and names the annotation, whose it is, its value and the cure.
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
	c.checkGates(&r, a)
	if r.err != nil {
		return Annotations{}, r.err
	}
	return a, nil
}

func (c *NetConf) checkGates(r *annotationReader, a Annotations) {
	const gate = "not allowed here: remove it, or set feature_control.%s to true in the CNI configuration"
	const ipam = "the CNI configuration has the IPAM plugin %q, and this takes calico-ipam: remove it"
	if a.IPAddrs != nil && a.IPAddrsNoIPAM != nil {
		r.fail(r.ofPod(ipAddrs), "ipAddrsNoIpam is there as well: remove one of the two")
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
