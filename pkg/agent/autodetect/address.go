// SPDX-License-Identifier: Apache-2.0

package autodetect

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"calico-cni/pkg/model"
)

// Request asks for the address of a node in one family.
type Request struct {
	Family model.Family
	Node   string
	// Value is the variable IP or IP6, Method is IP_AUTODETECTION_METHOD or IP6_AUTODETECTION_METHOD.
	Value, Method string
	// Stored is the address in the annotation of the node. It is the zero value if there is none.
	Stored netip.Prefix
	// Internal are the addresses of type InternalIP that the kubelet reports, of both families.
	Internal []netip.Addr
}

// kindVariable is the kind of findings about environment variables.
const kindVariable = "environment"

func (r Request) variable() string {
	if r.Family == model.IPv6 {
		return "IP6"
	}
	return "IP"
}

// Detects reports whether the address comes from a detection, so that a change of the host's addresses may change it.
func (r Request) Detects() bool {
	value := strings.TrimSpace(r.Value)
	return strings.EqualFold(value, "autodetect") || value == "" && r.Family == model.IPv4 && !r.Stored.IsValid()
}

// Address returns the address of the node with the prefix length of its subnet. It is the zero value if the node has no
// address in this family. A stored address stays if the request finds no other.
func (r Request) Address(h Host) (netip.Prefix, []model.Finding) {
	value := strings.TrimSpace(r.Value)
	switch {
	case r.Detects():
		return r.detect(h)
	case value == "", strings.EqualFold(value, "none"):
		return r.Stored, nil
	}
	return r.configured(h, value)
}

// configured returns the address in the variable.
func (r Request) configured(h Host, value string) (netip.Prefix, []model.Finding) {
	prefix, err := netip.ParsePrefix(value)
	single := err != nil
	if single {
		addr, _ := netip.ParseAddr(value)
		prefix = netip.PrefixFrom(addr, r.Family.Bits())
	}
	if !usable(prefix.Addr(), r.Family) {
		return r.keep(r.variable(), fmt.Sprintf("%q is not an %s address of a node", value, r.Family),
			"set autodetect, none, an address, or an address with a prefix length")
	}
	holder, held := h.holder(r.Family, prefix.Addr())
	if single && held {
		prefix = holder.addr
	}
	if !held {
		return prefix, []model.Finding{{
			Kind: kindVariable, Name: r.variable(), Problem: fmt.Sprintf("no interface has the address %s", prefix.Addr()),
			Remedy: "correct the variable, or assign the address to an interface",
		}}
	}
	return prefix, nil
}

// detect returns the address that the method finds.
func (r Request) detect(h Host) (netip.Prefix, []model.Finding) {
	variable := r.variable() + "_AUTODETECTION_METHOD"
	m, err := parseMethod(r.Method)
	if err != nil {
		return r.keep(variable, fmt.Sprintf("%q is not a method of detection", r.Method), err.Error())
	}
	got, err := m.detect(r.Family, h, r.Internal)
	if m.name == firstFound {
		if reported, ok := r.reported(h, got.addr.Addr()); ok {
			return reported.addr, []model.Finding{r.disagreement(got, reported)}
		}
	}
	if err != nil {
		return r.keep(variable, err.Error(), "choose another method, or set "+r.variable())
	}
	return got.addr, nil
}

// reported returns an address that the kubelet reports and a link has. It returns false if the kubelet reports the
// address that was found, or none that a link has.
func (r Request) reported(h Host, addr netip.Addr) (reported found, ok bool) {
	for _, internal := range r.Internal {
		if internal == addr {
			return found{}, false
		}
		if got, held := h.holder(r.Family, internal); held && !ok {
			reported, ok = got, true
		}
	}
	return reported, ok
}

func (r Request) disagreement(first, reported found) model.Finding {
	problem := fmt.Sprintf("the kubelet reports the InternalIP %s of %s, which is used; %s ", reported.addr.Addr(),
		reported.link, firstFound)
	if first.addr.IsValid() {
		problem += fmt.Sprintf("finds %s of %s", first.addr.Addr(), first.link)
	} else {
		problem += "finds no address"
	}
	return model.Finding{
		Kind: model.KindNode, Name: r.Node, Field: "status.addresses", Problem: problem,
		Remedy: fmt.Sprintf("set %s_AUTODETECTION_METHOD to %s, or to another method that finds the right address",
			r.variable(), internalIP),
	}
}

// keep returns the stored address, with a finding.
func (r Request) keep(variable, problem, remedy string) (netip.Prefix, []model.Finding) {
	if r.Stored.IsValid() {
		problem += fmt.Sprintf("; the node keeps its address %s", r.Stored)
	} else {
		problem += fmt.Sprintf("; the node has no %s address", r.Family)
	}
	return r.Stored, []model.Finding{{Kind: kindVariable, Name: variable, Problem: problem, Remedy: remedy}}
}

// settle is the least time between the two detections that confirm a change. Changes of the host's interfaces often
// cause several detections within milliseconds.
const settle = 5 * time.Second

// Confirmation delays a change of the address until a later detection confirms it, so that a short-lived state of the
// host changes nothing.
type Confirmation struct {
	candidate netip.Prefix
	since     time.Time
}

// Next returns the address to use. A node without an address takes the detected one at once.
func (c *Confirmation) Next(current, detected netip.Prefix, now time.Time) netip.Prefix {
	if detected != c.candidate {
		c.candidate, c.since = detected, now
	}
	if detected.IsValid() && (!current.IsValid() || now.Sub(c.since) >= settle) {
		return detected
	}
	return current
}
