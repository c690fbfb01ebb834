// SPDX-License-Identifier: Apache-2.0

package startup

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"

	"calico-cni/pkg/apis/crd/v1/spec"
	"calico-cni/pkg/ipam/pool"
	"calico-cni/pkg/model"
	"calico-cni/pkg/selector"
)

// Pool is a default pool.
type Pool struct {
	Name string
	Spec spec.IPPool
}

// PoolInputs are what the default pools depend on.
type PoolInputs struct {
	Env map[string]string
	// Kubeadm is the ClusterConfiguration in the ConfigMap kubeadm-config. It is empty if kubeadm did not create the
	// cluster.
	Kubeadm string
	// Existing are the CIDRs of the pools.
	Existing []netip.Prefix
	// Node is the IPv4 address of the node with its prefix length.
	Node netip.Prefix
	// IPv6 says that the node has IPv6.
	IPv6 bool
	// GlobalID are 40 random bits for a prefix of unique local IPv6 addresses (RFC 4193).
	GlobalID [5]byte
}

// DefaultPools returns the pools to create: one for each family that has no pool yet. An error names the variable that
// is invalid; the pool of the other family is returned with it.
func DefaultPools(in PoolInputs) ([]Pool, error) {
	if disabled, err := flag(in.Env, "NO_DEFAULT_POOLS", false); disabled || err != nil {
		for _, variable := range []string{"CALICO_IPV4POOL_CIDR", "CALICO_IPV6POOL_CIDR"} {
			if in.Env[variable] != "" && disabled {
				return nil, fmt.Errorf("NO_DEFAULT_POOLS and %s exclude each other; remove one of them", variable)
			}
		}
		return nil, err
	}
	subnets, err := podSubnets(in.Kubeadm)
	errs := []error{err}
	var pools []Pool
	for _, d := range in.missing() {
		if err != nil && d.in.Env[d.prefix+"CIDR"] == "" {
			continue // the CIDR is unknown
		}
		p, err := d.pool(subnets)
		if errs = append(errs, err); p.Name != "" && err == nil {
			pools = append(pools, p)
		}
	}
	return pools, errors.Join(errs...)
}

// missing returns the families that need a pool.
func (in PoolInputs) missing() []poolDefaults {
	var all []poolDefaults
	for _, f := range []model.Family{model.IPv4, model.IPv6} {
		d := poolDefaults{in: in, family: f, prefix: fmt.Sprintf("CALICO_IPV%dPOOL_", f)}
		if !d.exists() && (f == model.IPv4 || in.IPv6) {
			all = append(all, d)
		}
	}
	return all
}

// NeedsKubeadm reports whether a CIDR may come from kubeadm.
func (in PoolInputs) NeedsKubeadm() bool {
	if disabled, err := flag(in.Env, "NO_DEFAULT_POOLS", false); disabled || err != nil {
		return false
	}
	return slices.ContainsFunc(in.missing(), func(d poolDefaults) bool { return d.in.Env[d.prefix+"CIDR"] == "" })
}

// podSubnets returns the pod subnets of kubeadm's ClusterConfiguration.
func podSubnets(text string) ([]netip.Prefix, error) {
	var c struct {
		Networking struct {
			PodSubnet string `json:"podSubnet"`
		} `json:"networking"`
	}
	const remedy = "; correct the ConfigMap kube-system/kubeadm-config, or set CALICO_IPV4POOL_CIDR and " +
		"CALICO_IPV6POOL_CIDR"
	if err := yaml.Unmarshal([]byte(text), &c); err != nil {
		return nil, fmt.Errorf("read the ClusterConfiguration of kubeadm: %w%s", err, remedy)
	}
	var all []netip.Prefix
	for part := range strings.SplitSeq(c.Networking.PodSubnet, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		p, err := netip.ParsePrefix(part)
		if err != nil {
			return nil, fmt.Errorf("read podSubnet of kubeadm: %q is not a CIDR%s", part, remedy)
		}
		all = append(all, p.Masked())
	}
	return all, nil
}

// poolDefaults computes the default pool of one family.
type poolDefaults struct {
	in     PoolInputs
	family model.Family
	prefix string
}

func (d poolDefaults) of(p netip.Prefix) bool { return p.Addr().BitLen() == d.family.Bits() }

func (d poolDefaults) exists() bool {
	for _, p := range d.in.Existing {
		if d.of(p) {
			return true
		}
	}
	return false
}

// pool returns the pool. It has no name if the variable of the CIDR is "none".
func (d poolDefaults) pool(subnets []netip.Prefix) (Pool, error) {
	text := strings.TrimSpace(d.in.Env[d.prefix+"CIDR"])
	if strings.EqualFold(text, "none") {
		return Pool{}, nil
	}
	var cidr netip.Prefix
	source := d.prefix + "CIDR"
	if text != "" {
		var err error
		if cidr, err = netip.ParsePrefix(text); err != nil || !d.of(cidr) {
			return Pool{}, fmt.Errorf("%s: %q is not an %s CIDR; set one such as %s, or none", source, text, d.family,
				d.fallback())
		}
	} else {
		cidr, source = d.derived(subnets)
	}
	s := spec.IPPool{CIDR: cidr.Masked().String(), AllowedUses: []string{string(pool.Workload), string(pool.Tunnel)}}
	if err := d.options(&s, cidr.Masked(), source); err != nil {
		return Pool{}, err
	}
	return Pool{Name: fmt.Sprintf("default-ipv%d-ippool", d.family), Spec: s}, nil
}

// derived returns the CIDR of a pool without variable, and its source for errors.
func (d poolDefaults) derived(subnets []netip.Prefix) (netip.Prefix, string) {
	for _, p := range subnets {
		if d.of(p) {
			return p, "podSubnet of kubeadm"
		}
	}
	return d.fallback(), d.prefix + "CIDR"
}

// fallback returns 192.168.0.0/16, or the first of 172.16.0.0/16 to 172.31.0.0/16 that does not overlap the subnet of
// the node. For IPv6 it returns a prefix of unique local addresses.
func (d poolDefaults) fallback() netip.Prefix {
	if d.family == model.IPv6 {
		addr := [16]byte{0xfd}
		copy(addr[1:], d.in.GlobalID[:])
		return netip.PrefixFrom(netip.AddrFrom16(addr), 48)
	}
	cidr := netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 168}), 16)
	for n := byte(16); n < 32 && d.in.Node.IsValid() && d.in.Node.Overlaps(cidr); n++ {
		cidr = netip.PrefixFrom(netip.AddrFrom4([4]byte{172, n}), 16)
	}
	return cidr
}

// options reads the other variables of the pool.
func (d poolDefaults) options(s *spec.IPPool, cidr netip.Prefix, source string) error {
	var err error
	if s.BlockSize, err = d.blockSize(cidr, source); err != nil {
		return err
	}
	if s.VXLANMode, err = d.mode("VXLAN"); err != nil {
		return err
	}
	s.IPIPMode = modeNever
	if d.family == model.IPv4 {
		if s.IPIPMode, err = d.mode("IPIP"); err != nil {
			return err
		}
	}
	if s.IPIPMode != modeNever && s.VXLANMode != modeNever {
		return fmt.Errorf("%sIPIP and %sVXLAN exclude each other; set one of them to Never", d.prefix, d.prefix)
	}
	if s.NATOutgoing, err = flag(d.in.Env, d.prefix+"NAT_OUTGOING", d.family == model.IPv4); err != nil {
		return err
	}
	if s.DisableBGPExport, err = flag(d.in.Env, d.prefix+"DISABLE_BGP_EXPORT", false); err != nil {
		return err
	}
	s.NodeSelector = cmp.Or(strings.TrimSpace(d.in.Env[d.prefix+"NODE_SELECTOR"]), "all()")
	if _, err := selector.Parse(s.NodeSelector); err != nil {
		return fmt.Errorf("%sNODE_SELECTOR: %w; correct the selector", d.prefix, err)
	}
	return nil
}

func (d poolDefaults) blockSize(cidr netip.Prefix, source string) (int, error) {
	size := pool.DefaultBlockSizeV4
	if d.family == model.IPv6 {
		size = pool.DefaultBlockSizeV6
	}
	variable := d.prefix + "BLOCK_SIZE"
	if text := strings.TrimSpace(d.in.Env[variable]); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			return 0, fmt.Errorf("%s: %q is not a prefix length; set a number such as %d", variable, text, size)
		}
		size = n
	}
	if err := (pool.Pool{Name: "by default", CIDR: cidr, BlockSize: size}).Validate(); err != nil {
		return 0, fmt.Errorf("%s %s with %s %d: %w; correct one of them", source, cidr, variable, size, err)
	}
	return size, nil
}

// modeNever and the others are the modes of an encapsulation in an IPPool.
const (
	modeNever       = "Never"
	modeAlways      = "Always"
	modeCrossSubnet = "CrossSubnet"
)

func (d poolDefaults) mode(name string) (string, error) {
	text := strings.TrimSpace(d.in.Env[d.prefix+name])
	switch strings.ToLower(text) {
	case "", "off", "never":
		return modeNever, nil
	case "always":
		return modeAlways, nil
	case "crosssubnet", "cross-subnet":
		return modeCrossSubnet, nil
	}
	return "", fmt.Errorf("%s%s: %q is not a mode; set Never, Always or CrossSubnet", d.prefix, name, text)
}

// flag reads a boolean variable.
func flag(env map[string]string, variable string, fallback bool) (bool, error) {
	text := strings.TrimSpace(env[variable])
	if text == "" {
		return fallback, nil
	}
	value, err := strconv.ParseBool(strings.ToLower(text))
	if err != nil {
		return false, fmt.Errorf("%s: %q is not a boolean; set true or false", variable, text)
	}
	return value, nil
}
