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

// Status returns nil when an ADD would succeed, and else why not: running pods' trouble first. The runtime asks every
// few seconds: while all is well, it makes no request.
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

// checkExistingPods returns an error that wraps dataplane.ErrPodsCutOff when something has cut off pods that are
// running.
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

// status asks another IPAM plugin. One that is older than STATUS has nothing to say.
func (d delegate) status(ctx context.Context) error {
	if blockIPAM(d.call.Conf) {
		return nil
	}
	stdin := d.call.CNI.StdinData
	if d.wantsPodCIDRs() {
		var err error
		// Not the node's own: to read the node takes a request.
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

// lacksVerb reports whether a plugin that is older than a verb says so: by the version, or, as those of the time before
// 1.1.0 do, by an environment that it does not know.
func lacksVerb(answer *types.Error) bool {
	return answer.Code == types.ErrIncompatibleCNIVersion ||
		answer.Code == types.ErrInvalidEnvironmentVariables && strings.Contains(answer.Msg, "CNI_COMMAND")
}
