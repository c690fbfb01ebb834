package plugin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"

	"github.com/containernetworking/cni/pkg/invoke"
	current "github.com/containernetworking/cni/pkg/types/100"

	"calico-cni/pkg/ipamplugin"
	"calico-cni/pkg/netconf"
)

// delegate runs another IPAM plugin, or calico-ipam as a process of its own. The specification wants its DEL also after
// an ADD that failed (CNI 1.1.0, section 4).
func (a *add) delegate(ctx context.Context) (*current.Result, error) {
	stdin, err := a.delegateConfig(ctx)
	if err != nil {
		return nil, err
	}
	a.undo.Push(a.delegateDel)
	r, err := invoke.DelegateAdd(ctx, a.Conf.IPAM.Type, stdin, nil)
	if err != nil {
		return nil, fmt.Errorf("run IPAM plugin %s: %w", a.Conf.IPAM.Type, err)
	}
	result, err := current.NewResultFromResult(r)
	if err != nil {
		return nil, fmt.Errorf("read result of IPAM plugin %s: %w", a.Conf.IPAM.Type, err)
	}
	if len(addresses(result)) == 0 {
		return nil, fmt.Errorf("IPAM plugin %s returned no address; see its configuration in the section ipam", a.Conf.IPAM.Type)
	}
	return result, nil
}

// delegateDel has to bring the IPAM plugin to its DEL also when the API server cannot say what the configuration means.
func (a *attachment) delegateDel(ctx context.Context) error {
	stdin, err := a.withPodCIDRs(ctx)
	if err != nil {
		a.Log.Warn("releasing without the node's pod CIDRs", "error", err)
		if stdin, err = withAnyCIDRs(a.CNI.StdinData); err != nil {
			return err
		}
	}
	if err := invoke.DelegateDel(ctx, a.Conf.IPAM.Type, stdin, nil); err != nil {
		return fmt.Errorf("run IPAM plugin %s: %w", a.Conf.IPAM.Type, err)
	}
	return nil
}

// delegateConfig is the configuration that the IPAM plugin gets: the whole of ours. calico-ipam knows nothing of a
// pod's annotations, so what they ask for is put where it looks; host-local knows nothing of nodes.
func (a *add) delegateConfig(ctx context.Context) ([]byte, error) {
	if a.Conf.IPAM.Type != netconf.CalicoIPAM {
		return a.withPodCIDRs(ctx)
	}
	return withRequest(a.CNI.StdinData, a.request())
}

// withRequest returns a configuration whose section ipam, and whose args, ask for what the request does. All else stays.
func withRequest(stdin []byte, r ipamplugin.Request) ([]byte, error) {
	config, ipam := map[string]any{}, map[string]any{}
	if err := json.Unmarshal(stdin, &config); err != nil {
		return nil, fmt.Errorf("%w: %w", netconf.ErrDecode, err)
	}
	if section, ok := config["ipam"].(map[string]any); ok {
		ipam = section
	}
	ipam["assign_ipv4"], ipam["assign_ipv6"] = strconv.FormatBool(r.IPv4.Wanted), strconv.FormatBool(r.IPv6.Wanted)
	ipam["ipv4_pools"], ipam["ipv6_pools"] = r.IPv4.Pools, r.IPv6.Pools
	config["ipam"] = ipam
	var addrs []netip.Addr
	for _, family := range []ipamplugin.Family{r.IPv4, r.IPv6} {
		if family.Addr.IsValid() {
			addrs = append(addrs, family.Addr)
		}
	}
	if len(addrs) > 0 {
		args, _ := config["args"].(map[string]any)
		if args == nil {
			args = map[string]any{}
		}
		args["cni"] = map[string]any{"ips": addrs}
		config["args"] = args
		// What the runtime asked for is part of the request already.
		delete(config, "runtimeConfig")
	}
	return json.Marshal(config)
}
