// SPDX-License-Identifier: Apache-2.0

package netconf

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"unicode"
)

// IPAM is the section "ipam". For an IPAM plugin other than calico-ipam only Type is read, and Name, Subnet and Routes
// for host-local. That plugin reads the section itself.
type IPAM struct {
	// Type names the IPAM plugin.
	Type string
	// Name and Subnet apply to host-local. Subnet may be "usePodCidr" or "usePodCidrIPv6".
	Name, Subnet string
	// Routes are the destinations of host-local's routes, nil if there are none. The gateways of the routes are
	// ignored.
	Routes []netip.Prefix
	// AssignIPv4 is true unless configured "false", AssignIPv6 false unless configured "true".
	AssignIPv4, AssignIPv6 bool
	// IPv4Pools and IPv6Pools are names or CIDRs of the pools to use. Empty means all pools that select the node.
	IPv4Pools, IPv6Pools []string
	// Exec runs calico-ipam as a separate process instead of within calico.
	Exec bool
}

// parseIPAM reads the section "ipam".
func parseIPAM(section json.RawMessage, w *warnings) (IPAM, error) {
	var wire struct {
		Type string `json:"type"`
	}
	if err := decode(section, "ipam.", &wire); err != nil {
		return IPAM{}, err
	}
	i := IPAM{Type: wire.Type, AssignIPv4: true}
	switch wire.Type {
	case "":
		return i, invalid("ipam.type", "", "want calico-ipam or the name of another IPAM plugin")
	case CalicoIPAM:
		err := i.parseBlockIPAM(section, w)
		return i, err
	case "host-local":
		err := i.parseHostLocal(section)
		return i, err
	}
	if !isFileName(wire.Type) {
		return i, invalid("ipam.type", wire.Type, "want the name of a plugin, not a path")
	}
	return i, nil
}

// isFileName reports whether a plugin's type can be the name of a file in CNI_PATH.
func isFileName(name string) bool {
	return name != "." && name != ".." && !strings.ContainsAny(name, "/\\") &&
		!strings.ContainsFunc(name, unicode.IsControl)
}

func (i *IPAM) parseHostLocal(section json.RawMessage) error {
	var wire struct {
		Name   string `json:"name"`
		Subnet string `json:"subnet"`
		Routes []struct {
			Dst string `json:"dst"`
		} `json:"routes"`
	}
	if err := decode(section, "ipam.", &wire); err != nil {
		return err
	}
	i.Name, i.Subnet = wire.Name, wire.Subnet
	for n, route := range wire.Routes {
		to, err := netip.ParsePrefix(route.Dst)
		if err != nil {
			return invalid(fmt.Sprintf("ipam.routes[%d].dst", n), route.Dst,
				"want a CIDR such as 10.96.0.0/12, or 0.0.0.0/0")
		}
		i.Routes = append(i.Routes, to.Masked())
	}
	return nil
}

func (i *IPAM) parseBlockIPAM(section json.RawMessage, w *warnings) error {
	var wire struct {
		AssignIPv4 json.RawMessage `json:"assign_ipv4"`
		AssignIPv6 json.RawMessage `json:"assign_ipv6"`
		IPv4Pools  []string        `json:"ipv4_pools"`
		IPv6Pools  []string        `json:"ipv6_pools"`
		Exec       bool            `json:"exec"`
	}
	if err := decode(section, "ipam.", &wire); err != nil {
		return err
	}
	i.IPv4Pools, i.IPv6Pools, i.Exec = wire.IPv4Pools, wire.IPv6Pools, wire.Exec
	var err error
	if i.AssignIPv4, err = parseFlag("ipam.assign_ipv4", wire.AssignIPv4, true, w); err != nil {
		return err
	}
	if i.AssignIPv6, err = parseFlag("ipam.assign_ipv6", wire.AssignIPv6, false, w); err != nil {
		return err
	}
	if n, remedy := checkPools(i.IPv4Pools, netip.Addr.Is4); remedy != "" {
		return invalid(fmt.Sprintf("ipam.ipv4_pools[%d]", n), i.IPv4Pools[n], remedy)
	}
	if n, remedy := checkPools(i.IPv6Pools, netip.Addr.Is6); remedy != "" {
		return invalid(fmt.Sprintf("ipam.ipv6_pools[%d]", n), i.IPv6Pools[n], remedy)
	}
	return nil
}

// parseFlag reads a boolean that Calico spells as a string. It also accepts a JSON boolean. Any other string adds a
// warning and means the default, as in Calico.
func parseFlag(field string, raw json.RawMessage, byDefault bool, w *warnings) (bool, error) {
	const want = `want "true" or "false"`
	var value any
	if raw != nil {
		// Valid JSON may have a number that no Go type has.
		if err := json.Unmarshal(raw, &value); err != nil {
			return false, invalid(field, raw, want)
		}
	}
	switch v := value.(type) {
	case nil:
		return byDefault, nil
	case bool:
		return v, nil
	case string:
		switch strings.ToLower(v) {
		case "true":
			return true, nil
		case "false":
			return false, nil
		case "":
		default:
			w.add(field, v, fmt.Sprintf(`%s; using "%t"`, want, byDefault))
		}
		return byDefault, nil
	}
	return false, invalid(field, raw, want)
}

// maxName is the maximum length of the name of a Kubernetes object.
const maxName = 253

// checkPools returns the index of the first element that is neither a name nor a CIDR of the family, and the remedy. An
// empty remedy means that all elements are valid.
func checkPools(pools []string, family func(netip.Addr) bool) (n int, remedy string) {
	for n, pool := range pools {
		if pool == "" || len(pool) > maxName ||
			strings.ContainsFunc(pool, func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) }) {
			return n, "want the name or the CIDR of an IPPool"
		}
		if !strings.Contains(pool, "/") {
			continue
		}
		if prefix, err := netip.ParsePrefix(pool); err != nil || !family(prefix.Addr()) {
			return n, "want the name of an IPPool, or its CIDR, of this IP family"
		}
	}
	return 0, ""
}
