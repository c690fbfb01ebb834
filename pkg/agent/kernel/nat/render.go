// SPDX-License-Identifier: Apache-2.0

package nat

import (
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"calico-cni/pkg/agent/kernel/nft"
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

// family is one address family during rendering.
type family struct {
	Family
	v6     bool
	suffix string
}

// Render returns the chains and sets of a configuration. It has no effects.
func Render(c Config) nft.Ruleset {
	r := renderer{config: c, rules: map[string][]nft.Rule{}}
	for _, f := range []family{{c.V4, false, "4"}, {c.V6, true, "6"}} {
		r.outgoing(f)
		r.senders(f)
	}
	r.tunnels()
	r.pods()
	return r.ruleset()
}

// renderer collects rules by chain.
type renderer struct {
	config Config
	rules  map[string][]nft.Rule
	sets   []nft.Set
}

func (r *renderer) rule(chain, text string, parts ...[]nft.Expr) {
	r.rules[chain] = append(r.rules[chain], nft.NewRule(text, parts...))
}

// set adds a set of networks or of addresses.
func (r *renderer) set(name string, v6 bool, networks []netip.Prefix, addrs []netip.Addr) string {
	s := nft.Set{Name: name, V6: v6, Intervals: addrs == nil, Ranges: nft.Singles(addrs)}
	if s.Intervals {
		s.Ranges = nft.Merge(networks)
	}
	r.sets = append(r.sets, s)
	return name
}

// outgoing translates the addresses of pods that leave the pods' networks.
func (r *renderer) outgoing(f family) {
	if len(f.Outgoing) == 0 {
		return
	}
	match := slices.Concat(nft.IPv6(f.v6),
		nft.Source(f.v6, r.set("nat-outgoing"+f.suffix, f.v6, f.Outgoing, nil), true),
		nft.Dest(f.v6, r.set("nat-pools"+f.suffix, f.v6, f.Pools, nil), false))
	if len(f.Excluded) > 0 {
		match = append(match, nft.Dest(f.v6, r.set("nat-excluded"+f.suffix, f.v6, nil, f.Excluded), false)...)
	}
	if out := r.config.OutInterface; out != "" {
		name := strings.TrimRight(out, "+*")
		if name != "" {
			match = append(match, nft.OutInterface(name, name != out)...)
		}
	}
	translate := "nat-translate" + f.suffix
	r.rule(chainNAT, "pods to other networks, IPv"+f.suffix, match, []nft.Expr{nft.Jump(translate)})
	to := func(p nft.Ports) []nft.Expr {
		if f.Source.IsValid() {
			return nft.SNAT(f.Source, p)
		}
		return nft.Masquerade(p)
	}
	r.rule(translate, "UDP", nft.Protocol(unix.IPPROTO_UDP), to(udpPorts(r.config.Ports, r.config.ReservedPort)))
	if r.config.Ports != (nft.Ports{}) {
		r.rule(translate, "TCP", nft.Protocol(unix.IPPROTO_TCP), to(r.config.Ports))
	}
	r.rule(translate, "others", to(nft.Ports{}))
}

// tunnels gives local packets that leave through a tunnel device the address of the device.
func (r *renderer) tunnels() {
	if len(r.config.Tunnels) == 0 {
		return
	}
	names := slices.Sorted(slices.Values(r.config.Tunnels))
	for _, name := range slices.Compact(names) {
		r.rule(chainNAT, "local packets through "+name, nft.OutInterface(name, false), nft.LocalSource(true, false),
			nft.LocalSource(false, true), []nft.Expr{nft.Jump(chainTunnels)})
	}
	ports := udpPorts(nft.Ports{}, r.config.ReservedPort)
	r.rule(chainTunnels, "UDP", nft.Protocol(unix.IPPROTO_UDP), nft.Masquerade(ports))
	r.rule(chainTunnels, "others", nft.Masquerade(nft.Ports{}))
}

// senders drops packets of the tunnels from unknown senders.
func (r *renderer) senders(f family) {
	if v := r.config.VXLAN; v != nil {
		set := r.set("tunnel-vxlan"+f.suffix, f.v6, nil, notNil(f.VXLANSenders))
		r.rule(chainInput, "VXLAN from unknown senders, IPv"+f.suffix, nft.IPv6(f.v6), v.match(),
			nft.Source(f.v6, set, false), r.external(f), []nft.Expr{nft.Counter(), nft.Drop()})
	}
	if r.config.IPIP && !f.v6 {
		set := r.set("tunnel-ipip"+f.suffix, f.v6, nil, notNil(f.IPIPSenders))
		r.rule(chainInput, "IPIP from unknown senders", nft.IPv6(false), nft.Protocol(unix.IPPROTO_IPIP),
			nft.Source(false, set, false), r.external(f), []nft.Expr{nft.Counter(), nft.Drop()})
	}
}

// external matches packets that are not from external senders. Both tunnels share the set.
func (r *renderer) external(f family) []nft.Expr {
	if len(f.ExternalSenders) == 0 {
		return nil
	}
	name := "tunnel-external" + f.suffix
	if !slices.ContainsFunc(r.sets, func(s nft.Set) bool { return s.Name == name }) {
		r.set(name, f.v6, f.ExternalSenders, nil)
	}
	return nft.Source(f.v6, name, false)
}

// pods drops packets of the tunnels from pods, and exempts those of the node from connection tracking.
func (r *renderer) pods() {
	drop := []nft.Expr{nft.Counter(), nft.Drop()}
	for _, prefix := range r.config.Workloads {
		if r.config.VXLAN != nil && !r.config.AllowVXLANFromPods {
			r.rule(chainForward, "VXLAN from pods", nft.InInterface(prefix, true), r.config.VXLAN.match(), drop)
		}
		if r.config.IPIP && !r.config.AllowIPIPFromPods {
			r.rule(chainForward, "IPIP from pods", nft.InInterface(prefix, true), nft.Protocol(unix.IPPROTO_IPIP), drop)
		}
	}
	if v := r.config.VXLAN; v != nil {
		for _, chain := range []string{chainIn, chainOut} {
			r.rule(chain, "VXLAN", v.match(), []nft.Expr{nft.NoTrack()})
		}
	}
}

// match matches the packets of the VXLAN devices. Another program may use the same port with another VNI.
func (v VXLAN) match() []nft.Expr {
	return slices.Concat(nft.Protocol(unix.IPPROTO_UDP), nft.DestPort(v.Port), nft.VNI(v.VNI))
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

func notNil(addrs []netip.Addr) []netip.Addr {
	if addrs == nil {
		return []netip.Addr{}
	}
	return addrs
}

// The unprivileged ports, from which the kernel chooses.
const (
	minPort = 1024
	maxPort = 65535
)

// udpPorts returns the ports for UDP: those of the configuration without the reserved one, of the two parts the larger
// one.
func udpPorts(ports nft.Ports, reserved uint16) nft.Ports {
	all := ports
	if all == (nft.Ports{}) {
		all = nft.Ports{Min: minPort, Max: maxPort}
	}
	switch {
	case reserved < all.Min || reserved > all.Max || all.Min == all.Max:
		return ports
	case reserved-all.Min > all.Max-reserved:
		return nft.Ports{Min: all.Min, Max: reserved - 1}
	}
	return nft.Ports{Min: reserved + 1, Max: all.Max}
}
