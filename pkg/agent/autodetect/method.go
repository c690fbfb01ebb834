// SPDX-License-Identifier: Apache-2.0

package autodetect

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"calico-cni/pkg/model"
)

// The methods, as the variables IP_AUTODETECTION_METHOD and IP6_AUTODETECTION_METHOD name them. Those with "=" have an
// argument.
const (
	firstFound    = "first-found"
	internalIP    = "kubernetes-internal-ip"
	canReach      = "can-reach="
	useInterface  = "interface="
	skipInterface = "skip-interface="
	inCIDR        = "cidr="
)

// method is a parsed method. Only the field that it needs is set.
type method struct {
	name        string
	pattern     *regexp.Regexp
	cidrs       []netip.Prefix
	destination string
}

// errMethod is the error of an unknown method.
var errMethod = errors.New("set first-found, kubernetes-internal-ip, can-reach=DESTINATION, interface=REGEX, " +
	"skip-interface=REGEX or cidr=CIDR")

// parseMethod parses a method. Empty means first-found.
func parseMethod(text string) (method, error) {
	text = strings.TrimSpace(text)
	name, argument, hasArgument := strings.Cut(text, "=")
	if hasArgument {
		name += "="
	}
	m := method{name: name}
	switch name {
	case "":
		m.name = firstFound
	case firstFound, internalIP:
	case canReach:
		m.destination = strings.TrimSpace(argument)
		if m.destination == "" {
			return m, errors.New("add the destination to can-reach=")
		}
	case useInterface, skipInterface:
		var err error
		if m.pattern, err = patterns(argument); err != nil {
			return m, fmt.Errorf("add regular expressions of Go's package regexp to %s, separated by commas", name)
		}
	case inCIDR:
		for part := range strings.SplitSeq(argument, ",") {
			cidr, err := netip.ParsePrefix(strings.TrimSpace(part))
			if err != nil {
				return m, errors.New("add CIDRs to cidr=, separated by commas")
			}
			m.cidrs = append(m.cidrs, cidr)
		}
	default:
		return m, errMethod
	}
	return m, nil
}

// patterns returns one regular expression for a list that is separated by commas.
func patterns(list string) (*regexp.Regexp, error) {
	var parts []string
	for part := range strings.SplitSeq(list, ",") {
		part = strings.TrimSpace(part)
		if _, err := regexp.Compile(part); err != nil || part == "" {
			return nil, errMethod
		}
		parts = append(parts, "(?:"+part+")")
	}
	return regexp.Compile(strings.Join(parts, "|"))
}

// Destination returns the destination of the method can-reach, so that the caller can look up the source address for
// it. It is empty for other methods.
func Destination(methodText string) string {
	m, err := parseMethod(methodText)
	if err != nil {
		return ""
	}
	return m.destination
}

// detect returns the address that a method finds. internal are the addresses that the kubelet reports.
func (m method) detect(f model.Family, h Host, internal []netip.Addr) (found, error) {
	each := func(netip.Addr) bool { return true }
	var got found
	var ok bool
	switch m.name {
	case firstFound:
		got, ok = h.first(f, Link.physical, each)
	case useInterface:
		got, ok = h.first(f, func(l Link) bool { return m.pattern.MatchString(l.Name) }, each)
	case skipInterface:
		got, ok = h.first(f, func(l Link) bool { return l.physical() && !m.pattern.MatchString(l.Name) }, each)
	case inCIDR:
		got, ok = h.first(f, func(Link) bool { return true }, func(a netip.Addr) bool {
			return slices.ContainsFunc(m.cidrs, func(c netip.Prefix) bool { return c.Contains(a) })
		})
	case canReach:
		got, ok = h.holder(f, h.Sources[m.destination])
	case internalIP:
		return m.internal(f, h, internal)
	}
	if !ok {
		return found{}, fmt.Errorf("%s finds no %s address", m, f)
	}
	return got, nil
}

// internal returns the first address that the kubelet reports. It has the length of a single address if no link has it.
func (m method) internal(f model.Family, h Host, internal []netip.Addr) (found, error) {
	for _, addr := range internal {
		if got, ok := h.holder(f, addr); ok {
			return got, nil
		}
	}
	for _, addr := range internal {
		if usable(addr, f) {
			return found{addr: netip.PrefixFrom(addr, f.Bits())}, nil
		}
	}
	return found{}, fmt.Errorf("the kubelet reports no %s InternalIP", f)
}

// String returns the method as the variable has it, with normalized arguments.
func (m method) String() string {
	switch m.name {
	case canReach:
		return m.name + m.destination
	case useInterface, skipInterface:
		return m.name + m.pattern.String()
	case inCIDR:
		return m.name + strings.Trim(fmt.Sprint(m.cidrs), "[]")
	}
	return m.name
}
