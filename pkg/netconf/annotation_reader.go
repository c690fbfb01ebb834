// SPDX-License-Identifier: Apache-2.0

package netconf

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
)

// annotation is one annotation with the object that it was found on.
type annotation struct{ key, owner, value string }

// annotationReader reads annotations one by one and keeps the first error.
type annotationReader struct {
	pod, namespace map[string]string
	err            error
}

func (r *annotationReader) ofPod(key string) annotation {
	return annotation{key, "pod", r.pod[key]}
}

func (r *annotationReader) ofPodOrNamespace(key string) annotation {
	if r.pod[key] != "" {
		return r.ofPod(key)
	}
	return annotation{key, "namespace", r.namespace[key]}
}

func (r *annotationReader) fail(a annotation, remedy string) {
	if r.err == nil {
		r.err = &FieldError{ErrAnnotation, a.key + " of the " + a.owner, show(a.value), remedy}
	}
}

// list reads a JSON list of strings. It returns nil if the annotation is absent.
func (r *annotationReader) list(a annotation, example string) []string {
	if a.value == "" {
		return nil
	}
	var elements []string
	if err := json.Unmarshal([]byte(a.value), &elements); err != nil || elements == nil {
		r.fail(a, "want a JSON list of strings, such as "+example)
		return nil
	}
	return elements
}

func (r *annotationReader) pools(key string, family func(netip.Addr) bool) []string {
	a := r.ofPodOrNamespace(key)
	pools := r.list(a, `["default-ipv4-ippool"]`)
	if n, remedy := checkPools(pools, family); remedy != "" {
		r.fail(a, fmt.Sprintf("element %q: %s", clip(pools[n]), remedy))
	}
	return pools
}

func (r *annotationReader) families() Families {
	const example = `["IPv4"], ["IPv6"] or ["IPv4","IPv6"]`
	var families Families
	a := r.ofPodOrNamespace(ipFamilies)
	list := r.list(a, example)
	for _, name := range list {
		switch name {
		case "IPv4":
			families.IPv4 = true
		case "IPv6":
			families.IPv6 = true
		default:
			r.fail(a, "want "+example)
		}
	}
	if list != nil && len(list) == 0 {
		r.fail(a, "want "+example)
	}
	return families
}

func (r *annotationReader) addrs(key string) []netip.Addr {
	a := r.ofPod(key)
	var addrs []netip.Addr
	for _, text := range r.list(a, `["10.0.0.5"]`) {
		addr, err := netip.ParseAddr(text)
		addr = addr.Unmap()
		if err != nil || !isHost(addr) {
			r.fail(a, fmt.Sprintf("element %q: want the address of a host, without prefix length", clip(text)))
			return nil
		}
		addrs = append(addrs, addr)
	}
	return addrs
}

// isHost reports whether a pod may have the address. Gateway addresses and link-local addresses are excluded.
func isHost(addr netip.Addr) bool {
	return addr.Zone() == "" && !addr.IsUnspecified() && !addr.IsLoopback() && !addr.IsMulticast() &&
		(addr.Is4() || !addr.IsLinkLocalUnicast()) &&
		addr != netip.AddrFrom4([4]byte{169, 254, 1, 1}) && addr != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// ownAddrs reads addresses for the pod itself: at least one, and at most one per family.
func (r *annotationReader) ownAddrs(key string) []netip.Addr {
	a := r.ofPod(key)
	addrs := r.addrs(key)
	switch {
	case a.value != "" && len(addrs) == 0:
		r.fail(a, "want at least one address, or no annotation")
	case len(addrs) > 2 || len(addrs) == 2 && addrs[0].Is4() == addrs[1].Is4():
		r.fail(a, "want at most one IPv4 and one IPv6 address")
	}
	return addrs
}

func (r *annotationReader) mac() net.HardwareAddr {
	a := r.ofPod(hwAddr)
	if a.value == "" {
		return nil
	}
	mac, ok := parseMAC(a.value)
	if !ok {
		r.fail(a, wantMAC)
	}
	return mac
}

func (r *annotationReader) prefixes() []netip.Prefix {
	a := r.ofPod(allowedSourcePrefixes)
	var prefixes []netip.Prefix
	for _, text := range r.list(a, `["192.0.2.0/24"]`) {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			r.fail(a, fmt.Sprintf("element %q: want a CIDR such as 192.0.2.0/24", clip(text)))
			return nil
		}
		prefixes = append(prefixes, prefix.Masked())
	}
	return prefixes
}
