// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"calico-cni/pkg/dataplane"
)

const (
	// leastIPv6MTU is the minimum MTU of IPv6 (RFC 8200, section 5). The kernel disables IPv6 on links below it.
	leastIPv6MTU = 1280
	// aliasSize is the size of an alias in the kernel, including the final byte (IFALIASZ in linux/if.h).
	aliasSize = 256
)

// validate rejects specs that the kernel would reject halfway through Setup or would interpret differently.
func validate(spec dataplane.Spec) error {
	switch {
	case spec.Handle == "" || len(markOf(spec).String()) >= aliasSize:
		return fmt.Errorf("%w: owner %q: want a handle of 1 to %d bytes; a shorter network name helps",
			dataplane.ErrSpec, spec.Handle, aliasSize-1-len(mark{"", spec.IfName}.String()))
	case spec.MTU < 0 || spec.Queues < 0:
		return fmt.Errorf("%w: MTU %d, %d queues: want neither below 0", dataplane.ErrSpec, spec.MTU, spec.Queues)
	case spec.MTU > 0 && spec.MTU < leastIPv6MTU && uses6(spec):
		return fmt.Errorf("%w: MTU %d: IPv6 needs at least %d; raise the MTU or leave IPv6 out", dataplane.ErrSpec,
			spec.MTU, leastIPv6MTU)
	}
	names := []string{spec.IfName, spec.HostIfName}
	if spec.SecondHostIfName != "" {
		names = append(names, spec.SecondHostIfName)
	}
	for _, name := range names {
		// The kernel expands a percent sign as a template, and has sysctl directories named all and default.
		if name == "" || slices.Contains([]string{"lo", "all", "default"}, name) || strings.Contains(name, "%") ||
			len(name) >= unix.IFNAMSIZ {
			return fmt.Errorf("%w: interface name %q: want 1 to %d bytes, no %%, and not lo, all or default",
				dataplane.ErrSpec, name, unix.IFNAMSIZ-1)
		}
	}
	for _, addr := range spec.Addrs {
		if !addr.IsValid() || addr.Is4In6() || addr.Zone() != "" {
			return fmt.Errorf("%w: address %s: want a plain IPv4 or IPv6 address", dataplane.ErrSpec, addr)
		}
	}
	for _, to := range spec.Routes {
		if !to.IsValid() || to.Addr().Is4In6() {
			return fmt.Errorf("%w: route to %s: want an IPv4 or IPv6 CIDR", dataplane.ErrSpec, to)
		}
	}
	return nil
}

func uses4(spec dataplane.Spec) bool { return slices.ContainsFunc(spec.Addrs, netip.Addr.Is4) }
func uses6(spec dataplane.Spec) bool { return slices.ContainsFunc(spec.Addrs, netip.Addr.Is6) }

// single returns the prefix that contains only addr: /32 or /128.
func single(addr netip.Addr) *net.IPNet {
	return prefix(addr, addr.BitLen())
}

func prefix(addr netip.Addr, bits int) *net.IPNet {
	return &net.IPNet{IP: addr.AsSlice(), Mask: net.CIDRMask(bits, addr.BitLen())}
}

// samePrefix treats a nil prefix as all destinations, because some answers of the kernel omit the prefix.
func samePrefix(a, b *net.IPNet) bool {
	if a == nil {
		a = &net.IPNet{IP: b.IP, Mask: net.CIDRMask(0, 8*len(b.IP))}
	}
	aOnes, _ := a.Mask.Size()
	bOnes, _ := b.Mask.Size()
	return aOnes == bOnes && (aOnes == 0 || a.IP.Equal(b.IP))
}
