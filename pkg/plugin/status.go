// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"

	"calico-cni/pkg/dataplane"
	"calico-cni/pkg/nodeipam"
)

// Status returns nil if an ADD would succeed, and otherwise the cause. Faults of running pods come first. The runtime
// calls it every few seconds. Without a fault it sends no request.
func (p *Plugin) Status(ctx context.Context, args *skel.CmdArgs) error {
	c, err := p.Host.OnNode("STATUS", args)
	if err != nil {
		return err
	}
	a := &attachment{call: c, ipam: c.NodeIPAM(), dataplane: p.Dataplane}
	if err := a.checkExistingPods(ctx); err != nil {
		return err
	}
	if _, err := a.readMTU(); err != nil {
		return fmt.Errorf("%w: %w", nodeipam.ErrCannotAdd, err)
	}
	if a.blockIPAM() || a.call.Conf.NamesAPI() {
		if err := a.ipam.Health().Check(ctx); err != nil {
			return err
		}
	} else if _, err := a.call.NodeName(); err != nil {
		return fmt.Errorf("%w: %w", nodeipam.ErrCannotAdd, err)
	}
	return a.delegate().status(ctx)
}

// checkExistingPods returns an error that wraps dataplane.ErrPodsCutOff if running pods have lost their connectivity.
func (a *attachment) checkExistingPods(ctx context.Context) error {
	all, err := a.dataplane.List(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", nodeipam.ErrCannotAdd, err)
	}
	faults, first := 0, ""
	for _, attachment := range all {
		if attachment.Fault != "" {
			faults++
			first = attachment.HostIfName + ": " + attachment.Fault
		}
	}
	if faults == 0 {
		return nil
	}
	return fmt.Errorf("%w: %d of %d interfaces; %s", dataplane.ErrPodsCutOff, faults, len(all), first)
}

// status runs the STATUS of another IPAM plugin. A plugin that does not support STATUS counts as ready.
func (d delegate) status(ctx context.Context) error {
	if blockIPAM(d.call.Conf) {
		return nil
	}
	stdin := d.call.CNI.StdinData
	if d.wantsPodCIDRs() {
		var err error
		// The pod CIDRs of the node would take a request.
		if stdin, err = withAnyCIDRs(stdin); err != nil {
			return fmt.Errorf("%w: %w", nodeipam.ErrCannotAdd, err)
		}
	}
	err := invoke.DelegateStatus(ctx, d.call.Conf.IPAM.Type, stdin, delegateExec())
	var answer *types.Error
	if err == nil || errors.As(err, &answer) && lacksVerb(answer) {
		return nil
	}
	if errors.As(err, &answer) && answer.Code != 0 {
		return fmt.Errorf("IPAM plugin %s: %w", d.call.Conf.IPAM.Type, err)
	}
	return fmt.Errorf("%w: %w", nodeipam.ErrCannotAdd, d.wrap(err))
}

// lacksVerb reports whether an error means that the plugin does not support the verb. The plugin reports an
// incompatible version or, if it is older than version 1.1.0, an invalid CNI_COMMAND.
func lacksVerb(answer *types.Error) bool {
	return answer.Code == types.ErrIncompatibleCNIVersion ||
		answer.Code == types.ErrInvalidEnvironmentVariables && strings.Contains(answer.Msg, "CNI_COMMAND")
}
