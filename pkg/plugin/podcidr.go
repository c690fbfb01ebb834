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
	"calico-cni/pkg/kubeapi"
	"calico-cni/pkg/netconf"
)

// hostLocal is the IPAM plugin that stores its leases on the node.
const hostLocal = "host-local"

// Placeholders in host-local's subnets for the pod CIDRs that the controller manager assigned to the node.
const (
	podCIDR4 = "usePodCidr"
	podCIDR6 = "usePodCidrIPv6"
)

// anyCIDRs replace the pod CIDRs of the node for a release, for which host-local needs only the container ID.
// Host-local rejects overlapping ranges, so these are documentation prefixes (RFC 5737, RFC 3849), which no other range
// overlaps.
var anyCIDRs = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/64")}

// withPodCIDRs returns the configuration with the node's pod CIDRs instead of the placeholders. It reads the node only
// if there is a placeholder.
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
	cidrs, err := kubeapi.PodCIDRs(ctx, d.call.Client, name)
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

// withSomeCIDRs is withPodCIDRs for other verbs than ADD, which do not depend on the CIDRs. It uses anyCIDRs if the
// node cannot be read.
func (d delegate) withSomeCIDRs(ctx context.Context) ([]byte, error) {
	if !d.wantsPodCIDRs() {
		return d.call.CNI.StdinData, nil
	}
	ctx, cancel := deadline.Within(ctx, nodeTimeout, "the read of the node")
	defer cancel()
	stdin, err := d.withPodCIDRs(ctx)
	if err != nil {
		d.call.Log.Warn("calling host-local without the node's pod CIDRs", "error", err)
		return withAnyCIDRs(d.call.CNI.StdinData)
	}
	return stdin, nil
}

// withSomeRange returns a configuration that host-local's DEL accepts. Host-local rejects a configuration without a
// range, although it finds the lease by the container ID. Multus passes such a configuration if it has lost that of the
// ADD.
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

// hasRange reports whether host-local finds a range in its section, valid or not.
func hasRange(ipam map[string]any) bool {
	if subnet, _ := ipam["subnet"].(string); subnet != "" {
		return true
	}
	sets, isList := ipam["ranges"].([]any)
	return len(sets) > 0 || !isList && ipam["ranges"] != nil
}

// nodeTimeout limits the read of a node that a command does not need.
const nodeTimeout = 5 * time.Second

func withAnyCIDRs(stdin []byte) ([]byte, error) {
	return withCIDRs(stdin, "no node", anyCIDRs, "rangeStart", "rangeEnd", "gateway")
}

// withCIDRs replaces each placeholder in ipam.subnet and ipam.ranges by the first CIDR of its family, and removes the
// keys in drop from the same section. Other keys are unchanged.
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
	subnet, _ := section["subnet"].(string)
	ipv6 := strings.EqualFold(subnet, podCIDR6)
	if !ipv6 && !strings.EqualFold(subnet, podCIDR4) {
		return nil
	}
	i := slices.IndexFunc(cidrs, func(p netip.Prefix) bool { return p.Addr().Is6() == ipv6 })
	if i < 0 {
		return fmt.Errorf("%w: ipam: subnet %s: %s has no such pod CIDR: let the controller manager allocate them "+
			"(--allocate-node-cidrs), or name a subnet", netconf.ErrInvalid, subnet, node)
	}
	section["subnet"] = cidrs[i].String()
	for _, key := range drop {
		delete(section, key)
	}
	return nil
}
