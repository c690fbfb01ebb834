// SPDX-License-Identifier: Apache-2.0

package nat

import (
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"calico-cni/pkg/agent/kernel/link"
	"calico-cni/pkg/agent/kernel/nft"
	"calico-cni/pkg/netstate"
)

// prefixes are those of the names of the driver's chains and sets. Other drivers use other names in the same table.
var prefixes = []string{"nat-", "tunnel-"}

// The chains. Each has its own base chain, so that policy can add others. Priorities: connection tracking sees packets
// after raw; kube-proxy masquerades before this driver does, so its mark is off the packets of tunnels.
const (
	chainNAT     = "nat-postrouting"
	chainTunnels = "nat-tunnel"
	chainInput   = "tunnel-input"
	chainForward = "tunnel-forward"
	chainIn      = "tunnel-prerouting"
	chainOut     = "tunnel-output"
)

var hooks = map[string]nft.Hook{
	chainNAT:     {Type: "nat", Number: unix.NF_INET_POST_ROUTING, Priority: 110},
	chainInput:   {Type: "filter", Number: unix.NF_INET_LOCAL_IN, Priority: -10},
	chainForward: {Type: "filter", Number: unix.NF_INET_FORWARD, Priority: -10},
	chainIn:      {Type: "filter", Number: unix.NF_INET_PRE_ROUTING, Priority: -300},
	chainOut:     {Type: "filter", Number: unix.NF_INET_LOCAL_OUT, Priority: -300},
}

// Render returns the chains and sets of a configuration. It has no effects.
func Render(c Config) nft.Ruleset {
	r := renderer{config: c, rules: map[string][]nft.Rule{}}
	r.outgoing(c.NAT.IPv4, false, "4")
	r.outgoing(c.NAT.IPv6, true, "6")
	r.tunnels(append(slices.Clone(c.NAT.IPv4.Tunnels), c.NAT.IPv6.Tunnels...))
	filters := slices.SortedFunc(slices.Values(c.Filters), func(a, b netstate.TunnelFilter) int {
		return strings.Compare(a.Dev, b.Dev)
	})
	for _, f := range filters {
		r.senders(f)
		r.pods(f)
	}
	return r.ruleset()
}

// renderer collects rules by chain.
type renderer struct {
	config Config
	rules  map[string][]nft.Rule
	sets   []nft.Set
}

func (r *renderer) rule(chain, text string, parts ...[]nft.Expr) {
	rule := nft.NewRule(text, parts...)
	// Two devices with the same port and VNI need the same rule.
	if !slices.ContainsFunc(r.rules[chain], func(other nft.Rule) bool { return other.Tag == rule.Tag }) {
		r.rules[chain] = append(r.rules[chain], rule)
	}
}

// set adds a set of networks and returns its name.
func (r *renderer) set(name string, v6 bool, networks []netip.Prefix) string {
	r.sets = append(r.sets, nft.Set{Name: name, V6: v6, Intervals: true, Ranges: nft.Merge(networks)})
	return name
}

// outgoing translates the addresses of pods that leave the pods' networks.
func (r *renderer) outgoing(f netstate.FamilyNAT, v6 bool, suffix string) {
	if len(f.Sources) == 0 {
		return
	}
	match := slices.Concat(nft.IPv6(v6), nft.Source(v6, r.set("nat-sources"+suffix, v6, f.Sources), true),
		nft.Dest(v6, r.set("nat-exclusions"+suffix, v6, f.Exclusions), false))
	if name := strings.TrimRight(r.config.NAT.Interface, "+*"); name != "" {
		match = append(match, nft.OutInterface(name, name != r.config.NAT.Interface)...)
	}
	translate := "nat-translate" + suffix
	r.rule(chainNAT, "pods to other networks, IPv"+suffix, match, []nft.Expr{nft.Jump(translate)})
	to := func(p netstate.PortRange) []nft.Expr {
		if f.Addr.IsValid() {
			return nft.SNAT(f.Addr, p)
		}
		return nft.Masquerade(p)
	}
	ports := r.config.NAT.Ports
	r.rule(translate, "UDP", nft.Protocol(unix.IPPROTO_UDP), to(udpPorts(ports, r.config.NAT.ReservedPort)))
	if ports != (netstate.PortRange{}) {
		r.rule(translate, "TCP", nft.Protocol(unix.IPPROTO_TCP), to(ports))
	}
	r.rule(translate, "others", to(netstate.PortRange{}))
}

// tunnels gives local packets that leave through a tunnel device the address of the device.
func (r *renderer) tunnels(devices []netstate.TunnelSource) {
	if len(devices) == 0 {
		return
	}
	slices.SortFunc(devices, func(a, b netstate.TunnelSource) int { return strings.Compare(a.Dev, b.Dev) })
	for _, d := range devices {
		r.rule(chainNAT, "local packets through "+d.Dev, nft.OutInterface(d.Dev, false), nft.LocalSource(true, false),
			nft.LocalSource(false, true), []nft.Expr{nft.Jump(chainTunnels)})
	}
	ports := udpPorts(netstate.PortRange{}, r.config.NAT.ReservedPort)
	r.rule(chainTunnels, "UDP", nft.Protocol(unix.IPPROTO_UDP), nft.Masquerade(ports))
	r.rule(chainTunnels, "others", nft.Masquerade(netstate.PortRange{}))
}

// senders drops packets of a tunnel from unknown senders.
func (r *renderer) senders(f netstate.TunnelFilter) {
	v6 := f.Dev == link.VXLANv6
	set := r.set("tunnel-senders-"+f.Dev, v6, f.Senders)
	r.rule(chainInput, "unknown senders to "+f.Dev, nft.IPv6(v6), match(f), nft.Source(v6, set, false),
		[]nft.Expr{nft.Counter(), nft.Drop()})
}

// pods drops packets of a tunnel from pods, and exempts those of the node from connection tracking.
func (r *renderer) pods(f netstate.TunnelFilter) {
	allowed := r.config.AllowVXLANFromPods
	if f.Kind == netstate.IPIP {
		allowed = r.config.AllowIPIPFromPods
	}
	for _, prefix := range r.config.Workloads {
		if !allowed {
			r.rule(chainForward, "pods to "+string(f.Kind), nft.InInterface(prefix, true), match(f),
				[]nft.Expr{nft.Counter(), nft.Drop()})
		}
	}
	if f.Kind == netstate.VXLAN {
		r.rule(chainIn, "VXLAN", match(f), []nft.Expr{nft.NoTrack()})
		r.rule(chainOut, "VXLAN", match(f), []nft.Expr{nft.NoTrack()})
	}
}

// match matches the packets of a tunnel. Another program may use the same port with another VNI.
func match(f netstate.TunnelFilter) []nft.Expr {
	if f.Kind == netstate.IPIP {
		return nft.Protocol(unix.IPPROTO_IPIP)
	}
	return slices.Concat(nft.Protocol(unix.IPPROTO_UDP), nft.DestPort(f.Port), nft.VNI(uint32(f.VNI)))
}

// ruleset returns the chains and sets, sorted by name.
func (r *renderer) ruleset() (all nft.Ruleset) {
	for name, rules := range r.rules {
		hook, base := hooks[name]
		all.Chains = append(all.Chains, nft.Chain{Name: name, Base: base, Hook: hook, Rules: rules})
	}
	slices.SortFunc(all.Chains, func(a, b nft.Chain) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(r.sets, func(a, b nft.Set) int { return strings.Compare(a.Name, b.Name) })
	all.Sets = r.sets
	return all
}

// The unprivileged ports, from which the kernel chooses.
const (
	minPort = 1024
	maxPort = 65535
)

// udpPorts returns the ports for UDP: those of the configuration without the reserved one, of the two parts the larger
// one.
func udpPorts(ports netstate.PortRange, reserved uint16) netstate.PortRange {
	all := ports
	if all == (netstate.PortRange{}) {
		all = netstate.PortRange{First: minPort, Last: maxPort}
	}
	switch {
	case reserved < all.First || reserved > all.Last || all.First == all.Last:
		return ports
	case reserved-all.First > all.Last-reserved:
		return netstate.PortRange{First: all.First, Last: reserved - 1}
	}
	return netstate.PortRange{First: reserved + 1, Last: all.Last}
}
