// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"calico-cni/internal/deadline"
	"calico-cni/internal/jsonfault"
	"calico-cni/pkg/netconf"
)

// hostLocal is the IPAM plugin that keeps its leases on the node.
const hostLocal = "host-local"

// What host-local's subnets may say in place of a CIDR: that of the node, which the controller manager gave it.
const (
	podCIDR4 = "usePodCidr"
	podCIDR6 = "usePodCidrIPv6"
)

// anyCIDRs stand for the node's while an address is released, which host-local finds by the container: documentation
// prefixes (RFC 5737, RFC 3849), which no other range of the configuration overlaps, as host-local demands.
var anyCIDRs = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/64")}

// withPodCIDRs returns the configuration with the node's pod CIDRs in place of what stands for them. The node is read
// only when something does.
func (d delegate) withPodCIDRs(ctx context.Context) ([]byte, error) {
	if !d.wantsPodCIDRs() {
		return d.call.CNI.StdinData, nil
	}
	name, err := d.call.NodeName()
	if err != nil {
		return nil, err
	}
	if err := d.call.Connect(); err != nil {
		return nil, err
	}
	cidrs, err := d.call.Client.PodCIDRs(ctx, name)
	if err != nil {
		return nil, err
	}
	return withCIDRs(d.call.CNI.StdinData, "node "+name, cidrs)
}

// wantsPodCIDRs reads the original configuration, because DEL accepts configurations that cannot be parsed as a whole.
func (d delegate) wantsPodCIDRs() bool {
	stdin := bytes.ToLower(d.call.CNI.StdinData)
	return d.call.Conf.IPAM.Type == hostLocal && bytes.Contains(stdin, []byte(strings.ToLower(podCIDR4)))
}

// withSomeCIDRs is withPodCIDRs for what comes after the ADD, where any CIDR will do when the node cannot be read.
func (d delegate) withSomeCIDRs(ctx context.Context) ([]byte, error) {
	if !d.wantsPodCIDRs() {
		return d.call.CNI.StdinData, nil
	}
	ctx, cancel := deadline.Within(ctx, nodePatience, "the read of the node")
	defer cancel()
	stdin, err := d.withPodCIDRs(ctx)
	if err != nil {
		d.call.Log.Warn("calling host-local without the node's pod CIDRs", "error", err)
		return withAnyCIDRs(d.call.CNI.StdinData)
	}
	return stdin, nil
}

// withSomeRange returns a configuration that host-local's DEL accepts. It refuses one without a range, though it finds
// the lease by the container alone; Multus sends such a configuration when it has lost that of the ADD.
func (d delegate) withSomeRange(stdin []byte) ([]byte, error) {
	if d.call.Conf.IPAM.Type != hostLocal {
		return stdin, nil
	}
	config := map[string]any{}
	if err := jsonfault.Unmarshal(stdin, &config); err != nil {
		return nil, fmt.Errorf("%w: %w", netconf.ErrDecode, err)
	}
	ipam, ok := config["ipam"].(map[string]any)
	if !ok || hasRange(ipam) {
		return stdin, nil
	}
	var ranges [][]map[string]string
	for _, cidr := range anyCIDRs {
		ranges = append(ranges, []map[string]string{{"subnet": cidr.String()}})
	}
	ipam["ranges"] = ranges
	return json.Marshal(config)
}

// hasRange reports whether host-local finds a range in its section, be it one that it refuses.
func hasRange(ipam map[string]any) bool {
	if subnet, _ := ipam["subnet"].(string); subnet != "" {
		return true
	}
	sets, isList := ipam["ranges"].([]any)
	return len(sets) > 0 || !isList && ipam["ranges"] != nil
}

// nodePatience is how long a command waits for a node that it can do without.
const nodePatience = 5 * time.Second

func withAnyCIDRs(stdin []byte) ([]byte, error) {
	return withCIDRs(stdin, "no node", anyCIDRs, "rangeStart", "rangeEnd", "gateway")
}

// withCIDRs replaces what stands for the pod CIDRs of a node by the first of their family, in ipam.subnet and in all
// ipam.ranges, and drops the named keys beside them. All else stays.
func withCIDRs(stdin []byte, node string, cidrs []netip.Prefix, drop ...string) ([]byte, error) {
	config := map[string]any{}
	if err := jsonfault.Unmarshal(stdin, &config); err != nil {
		return nil, fmt.Errorf("%w: %w", netconf.ErrDecode, err)
	}
	ipam, _ := config["ipam"].(map[string]any)
	if err := fillIn(ipam, node, cidrs, drop); err != nil {
		return nil, err
	}
	sets, _ := ipam["ranges"].([]any)
	for _, set := range sets {
		ranges, _ := set.([]any)
		for _, r := range ranges {
			section, _ := r.(map[string]any)
			if err := fillIn(section, node, cidrs, drop); err != nil {
				return nil, err
			}
		}
	}
	return json.Marshal(config)
}

// fillIn replaces the subnet of one section.
func fillIn(section map[string]any, node string, cidrs []netip.Prefix, drop []string) error {
	said, _ := section["subnet"].(string)
	if !strings.EqualFold(said, podCIDR4) && !strings.EqualFold(said, podCIDR6) {
		return nil
	}
	ipv6 := strings.EqualFold(said, podCIDR6)
	i := slices.IndexFunc(cidrs, func(p netip.Prefix) bool { return p.Addr().Is6() == ipv6 })
	if i < 0 {
		return fmt.Errorf("%w: ipam: subnet %s: %s has no such pod CIDR: let the controller manager allocate them "+
			"(--allocate-node-cidrs), or name a subnet",
			netconf.ErrInvalid, said, node)
	}
	section["subnet"] = cidrs[i].String()
	for _, key := range drop {
		delete(section, key)
	}
	return nil
}
