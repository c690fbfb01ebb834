// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"

	"calico-cni/internal/jsonfault"
	"calico-cni/pkg/invocation"
	"calico-cni/pkg/netconf"
	"calico-cni/pkg/nodeipam"
)

// delegate is an IPAM plugin that runs in a separate process: calico-ipam or one of another project.
type delegate struct{ call *invocation.Call }

// delegateAdd runs the ADD of the IPAM plugin. The specification requires its DEL even after an ADD that failed (CNI
// 1.1.0, section 4).
func (a *addRun) delegateAdd(ctx context.Context) (*current.Result, error) {
	d := a.attachment.delegate()
	stdin, err := d.configForAdd(ctx, a.request())
	if err != nil {
		return nil, err
	}
	if leasesMigrated(a.attachment.call) {
		return nil, fmt.Errorf("%w: the addresses of network %s were moved from host-local to calico-ipam on this node, "+
			"but ipam.type is still host-local; set it to calico-ipam",
			invocation.ErrNodeNotReady, a.attachment.call.Conf.Name)
	}
	a.undo.Push(d.del)
	r, err := invoke.DelegateAdd(ctx, a.attachment.call.Conf.IPAM.Type, stdin, delegateExec())
	if err != nil {
		return nil, d.wrap(err)
	}
	result, err := current.NewResultFromResult(r)
	if err != nil {
		return nil, fmt.Errorf("read result of IPAM plugin %s: %w", a.attachment.call.Conf.IPAM.Type, err)
	}
	if entry := netconf.IncompleteEntry(result); entry != "" {
		return nil, fmt.Errorf("IPAM plugin %s returned a result whose %s has no dst or address; see its output in the "+
			"runtime's log", a.attachment.call.Conf.IPAM.Type, entry)
	}
	if len(addresses(result)) == 0 {
		return nil, fmt.Errorf("IPAM plugin %s returned no address; see its configuration in the section ipam",
			a.attachment.call.Conf.IPAM.Type)
	}
	return result, nil
}

// del runs the DEL of the IPAM plugin even if the API server cannot provide the pod CIDRs of the configuration.
func (d delegate) del(ctx context.Context) error {
	stdin, err := d.withSomeCIDRs(ctx)
	if err != nil {
		return err
	}
	if stdin, err = d.withSomeRange(stdin); err != nil {
		return err
	}
	return d.wrap(invoke.DelegateDel(ctx, d.call.Conf.IPAM.Type, stdin, delegateExec()))
}

func (d delegate) check(ctx context.Context) error {
	stdin, err := d.withSomeCIDRs(ctx)
	if err != nil {
		return err
	}
	if d.call.Conf.IPAM.Type == "static" {
		if stdin, err = withoutGateways(stdin); err != nil {
			return err
		}
	}
	return d.wrap(invoke.DelegateCheck(ctx, d.call.Conf.IPAM.Type, stdin, delegateExec()))
}

func (d delegate) gc(ctx context.Context) error {
	stdin, err := d.withSomeCIDRs(ctx)
	if err != nil {
		return err
	}
	err = invoke.DelegateGC(ctx, d.call.Conf.IPAM.Type, stdin, delegateExec())
	var answer *types.Error
	if errors.As(err, &answer) && lacksVerb(answer) {
		return nil
	}
	return d.wrap(err)
}

// wrap adds the name of the IPAM plugin to its error. A plugin that fails without an error of the specification has no
// code. Its error is returned as text, so that package cnierr selects the code.
func (d delegate) wrap(err error) error {
	var answer *types.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &answer) && answer.Code == 0:
		return fmt.Errorf("run IPAM plugin %s: %s; see its output in the runtime's log",
			d.call.Conf.IPAM.Type, strings.TrimSpace(err.Error()))
	}
	return fmt.Errorf("run IPAM plugin %s: %w", d.call.Conf.IPAM.Type, err)
}

// withoutGateways returns a configuration of the plugin static without the gateways of its addresses. The CHECK of
// static would expect them in the result, which does not contain them.
func withoutGateways(stdin []byte) ([]byte, error) {
	config := map[string]any{}
	if err := jsonfault.Unmarshal(stdin, &config); err != nil {
		return nil, fmt.Errorf("%w: %w", netconf.ErrDecode, err)
	}
	section, _ := config["ipam"].(map[string]any)
	addrs, _ := section["addresses"].([]any)
	for _, addr := range addrs {
		if addr, ok := addr.(map[string]any); ok {
			delete(addr, "gateway")
		}
	}
	return json.Marshal(config)
}

// tolerant makes plugins ignore unknown keys in CNI_ARGS, because most IPAM plugins do not support those of Kubernetes.
type tolerant struct{ invoke.Exec }

func delegateExec() tolerant {
	return tolerant{&invoke.DefaultExec{RawExec: &invoke.RawExec{Stderr: os.Stderr}}}
}

// ExecPlugin runs the plugin. An error describes a fault of the plugin without terms of Go.
func (t tolerant) ExecPlugin(ctx context.Context, path string, stdin []byte, environ []string) ([]byte, error) {
	for i, variable := range environ {
		args, ok := strings.CutPrefix(variable, "CNI_ARGS=")
		if ok && args != "" && !strings.Contains(";"+args+";", ";IgnoreUnknown=1;") {
			environ[i] = "CNI_ARGS=IgnoreUnknown=1;" + args
		}
	}
	out, err := t.Exec.ExecPlugin(ctx, path, stdin, environ)
	return explained(out, err, environ)
}

// configForAdd returns the configuration for the IPAM plugin, based on that of the main plugin. For calico-ipam, which
// does not read annotations, it contains the request. For host-local, which does not read nodes, it contains the pod
// CIDRs.
func (d delegate) configForAdd(ctx context.Context, r nodeipam.Request) ([]byte, error) {
	if d.call.Conf.IPAM.Type != netconf.CalicoIPAM {
		return d.withPodCIDRs(ctx)
	}
	return withRequest(d.call.CNI.StdinData, r)
}

// withRequest returns the configuration with the request in the sections ipam and args. Other keys are unchanged.
func withRequest(stdin []byte, r nodeipam.Request) ([]byte, error) {
	config, ipam := map[string]any{}, map[string]any{}
	if err := jsonfault.Unmarshal(stdin, &config); err != nil {
		return nil, fmt.Errorf("%w: %w", netconf.ErrDecode, err)
	}
	if section, ok := config["ipam"].(map[string]any); ok {
		ipam = section
	}
	ipam["assign_ipv4"], ipam["assign_ipv6"] = strconv.FormatBool(r.IPv4.Wanted), strconv.FormatBool(r.IPv6.Wanted)
	ipam["ipv4_pools"], ipam["ipv6_pools"] = r.IPv4.Pools, r.IPv6.Pools
	config["ipam"] = ipam
	var addrs []netip.Addr
	for _, family := range []nodeipam.Family{r.IPv4, r.IPv6} {
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
		// The request already contains the addresses from runtimeConfig.
		delete(config, "runtimeConfig")
	}
	return json.Marshal(config)
}
