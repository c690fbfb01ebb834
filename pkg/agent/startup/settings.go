// SPDX-License-Identifier: Apache-2.0

package startup

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"calico-cni/pkg/agent/autodetect"
	"calico-cni/pkg/agent/autodetect/hostnet"
	"calico-cni/pkg/model"
)

// Backend is the variable CALICO_NETWORKING_BACKEND.
type Backend string

// The backends.
const (
	// BackendBIRD and BackendVXLAN program the network. They do not differ, because routes do not come from BGP.
	BackendBIRD  Backend = "bird"
	BackendVXLAN Backend = "vxlan"
	// BackendNone leaves the network of the cluster to other software: the node gets no addresses, no tunnel addresses and
	// no condition.
	BackendNone Backend = "none"
)

// Networking reports whether the agent provides the network of the cluster.
func (b Backend) Networking() bool { return b != BackendNone }

// Settings are the variables that start-up reads, apart from those of pools.
type Settings struct {
	Backend Backend
	// Value and Method are the variables IP and IP_AUTODETECTION_METHOD, and those of IPv6.
	ValueV4, MethodV4, ValueV6, MethodV6 string
	// ASNumber is the number of the node's autonomous system. Empty leaves the annotation alone.
	ASNumber string
	// PollInterval is the time between two detections of the addresses of a running node.
	PollInterval time.Duration
	// NodeNameFile is the path of the nodename file.
	NodeNameFile string
}

// defaultPollInterval is the default of AUTODETECT_POLL_INTERVAL.
const defaultPollInterval = time.Minute

// kindVariable is the kind of findings about environment variables.
const kindVariable = "environment"

// ParseSettings reads the variables. An invalid value is a finding, and the default applies.
func ParseSettings(env map[string]string) (Settings, []model.Finding) {
	s := Settings{
		Backend: BackendBIRD, PollInterval: defaultPollInterval, NodeNameFile: DefaultNodeNameFile,
		ValueV4: env["IP"], MethodV4: env["IP_AUTODETECTION_METHOD"],
		ValueV6: env["IP6"], MethodV6: env["IP6_AUTODETECTION_METHOD"],
	}
	var findings []model.Finding
	reject := func(variable, fallback, remedy string) {
		findings = append(findings, model.Finding{
			Kind: kindVariable, Name: variable, Problem: fmt.Sprintf("%q is ignored and %s applies", env[variable], fallback),
			Remedy: remedy,
		})
	}
	switch b := Backend(strings.ToLower(strings.TrimSpace(env["CALICO_NETWORKING_BACKEND"]))); b {
	case "":
	case BackendBIRD, BackendVXLAN, BackendNone:
		s.Backend = b
	default:
		reject("CALICO_NETWORKING_BACKEND", "bird", "set bird, vxlan or none")
	}
	if text := strings.TrimSpace(env["AS"]); text != "" {
		if number, ok := asNumber(text); ok {
			s.ASNumber = strconv.FormatUint(number, 10)
		} else {
			reject("AS", "no value", "set a number of an autonomous system, such as 64512 or 1.10")
		}
	}
	if text := strings.TrimSpace(env["AUTODETECT_POLL_INTERVAL"]); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d < time.Second {
			reject("AUTODETECT_POLL_INTERVAL", "the default 1m", "set a duration of at least 1s, such as 60s")
		} else {
			s.PollInterval = d
		}
	}
	if path := strings.TrimSpace(env["CALICO_NODENAME_FILE"]); path != "" {
		s.NodeNameFile = path
	}
	return s, findings
}

// asNumber returns the number of an autonomous system. The text is a number, or two of 16 bits with a dot
// (RFC 5396).
func asNumber(text string) (uint64, bool) {
	high, low, dotted := strings.Cut(text, ".")
	if !dotted {
		n, err := strconv.ParseUint(text, 10, 32)
		return n, err == nil
	}
	h, errHigh := strconv.ParseUint(high, 10, 16)
	l, errLow := strconv.ParseUint(low, 10, 16)
	return h<<16 | l, errHigh == nil && errLow == nil
}

// Destinations returns the destinations of the method can-reach.
func (s Settings) Destinations() []hostnet.Destination {
	var all []hostnet.Destination
	for _, d := range []hostnet.Destination{
		{Name: autodetect.Destination(s.MethodV4)}, {Name: autodetect.Destination(s.MethodV6), IPv6: true},
	} {
		if d.Name != "" {
			all = append(all, d)
		}
	}
	return all
}

// Requests returns the requests for the addresses of a node, IPv4 first.
func (s Settings) Requests(node string, annotations map[string]string, internal []netip.Addr) [2]autodetect.Request {
	stored := func(annotation string) netip.Prefix {
		// pkg/model reports an invalid annotation.
		p, err := netip.ParsePrefix(annotations[annotation])
		if err != nil {
			return netip.Prefix{}
		}
		return p
	}
	return [2]autodetect.Request{
		{
			Family: model.IPv4, Node: node, Value: s.ValueV4, Method: s.MethodV4, Internal: internal,
			Stored: stored(model.AnnotationIPv4Address),
		},
		{
			Family: model.IPv6, Node: node, Value: s.ValueV6, Method: s.MethodV6, Internal: internal,
			Stored: stored(model.AnnotationIPv6Address),
		},
	}
}
