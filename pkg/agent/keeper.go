// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"time"

	"calico-cni/pkg/agent/autodetect"
	"calico-cni/pkg/agent/autodetect/hostnet"
	"calico-cni/pkg/agent/cluster"
	"calico-cni/pkg/agent/startup"
	"calico-cni/pkg/model"
)

// TunnelAddresses keeps the addresses of the tunnel devices of the node allocated. Ensure returns the annotations that
// the node must have; an empty value means that the annotation must be absent.
type TunnelAddresses interface {
	Ensure(ctx context.Context, pools []model.Pool, annotations map[string]string) (map[string]string, error)
}

// NodeAPI is the API server as the keeper needs it.
type NodeAPI interface {
	Node(ctx context.Context, name string) (startup.Node, error)
	PatchAnnotations(ctx context.Context, node string, patch []byte) error
	PatchCondition(ctx context.Context, node string, patch []byte) error
}

const (
	// firstPause and longestPause are the limits of the pause after a failed round. It doubles with each failure.
	firstPause   = time.Second
	longestPause = 30 * time.Second
	// reviewInterval is the time after which the tunnel addresses are reviewed although no pool has changed.
	reviewInterval = 10 * time.Minute
)

// keeper keeps what the agent says about its node in the API: addresses, tunnel addresses and the condition. It also
// creates the default objects of the cluster, and the nodename file.
type keeper struct {
	node     string
	api      NodeAPI
	defaults startup.Defaults
	tunnels  TunnelAddresses
	settings startup.Settings
	addrs    startup.Addresses
	// last returns the newest snapshot of the cluster, and false as long as there is none.
	last   func() (cluster.Snapshot, bool)
	ready  func() bool
	report func([]model.Finding)
	now    func() time.Time
	log    *slog.Logger
	wake   chan struct{}

	// object is what was read of the node first. Its annotations are those of the newest snapshot afterwards.
	object   *startup.Node
	prepared bool
	// logged is the last error in the log.
	logged string
	up     bool
	// reviewed and labels are the pools and the labels of the node at the last review of the tunnel addresses, and at is
	// its time.
	reviewed []model.Pool
	labels   map[string]string
	at       time.Time
	wanted   map[string]string
}

// changed makes the keeper look again. It does not block.
func (k *keeper) changed() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// run runs the keeper until the context ends.
func (k *keeper) run(ctx context.Context) error {
	var pause time.Duration
	for {
		wait := k.settings.PollInterval
		err := k.round(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			pause = min(max(2*pause, firstPause), longestPause)
			wait = pause
			if text := err.Error(); text != k.logged {
				k.logged = text
				k.log.Warn("cannot prepare the node completely; retrying", "error", err)
			}
		default:
			pause, k.logged = 0, ""
		}
		timer := time.NewTimer(wait)
		if err != nil {
			// Only the pause ends a wait after a failure, so that an outage of the API server causes few requests.
			select {
			case <-ctx.Done():
			case <-timer.C:
			}
		} else {
			select {
			case <-ctx.Done():
			case <-timer.C:
			case <-k.wake:
			}
		}
		timer.Stop()
	}
}

// round does what is left to do.
func (k *keeper) round(ctx context.Context) error {
	host, err := hostnet.Read(ctx, net.DefaultResolver.LookupNetIP, k.settings.Destinations()...)
	if err != nil {
		return err
	}
	if err := k.readNode(ctx); err != nil {
		return err
	}
	more, tunnelErr := k.reviewTunnels(ctx)
	patch, findings := k.addrs.Patch(*k.object, host, more, k.now())
	k.report(findings)
	if err := k.api.PatchAnnotations(ctx, k.node, patch); err != nil {
		return errors.Join(err, tunnelErr)
	}
	return errors.Join(tunnelErr, k.prepare(ctx, host), k.setCondition(ctx))
}

// readNode reads the node once. Later rounds take its annotations from the watch.
func (k *keeper) readNode(ctx context.Context) error {
	if k.object == nil {
		node, err := k.api.Node(ctx, k.node)
		if err != nil {
			return err
		}
		k.object = &node
	}
	if s, ok := k.last(); ok {
		k.object.Annotations = s.Own.Annotations
	}
	return nil
}

// reviewTunnels returns the annotations of the tunnel addresses. It looks at the allocations only after a change of the
// pools, and at intervals. Without a snapshot it does nothing: without pools, the addresses would be released.
func (k *keeper) reviewTunnels(ctx context.Context) (map[string]string, error) {
	s, ok := k.last()
	if !ok || !k.settings.Backend.Networking() {
		return nil, nil
	}
	pools := slices.SortedFunc(slices.Values(s.Pools), func(a, b model.Pool) int {
		return a.CIDR.Compare(b.CIDR)
	})
	labels := s.Own.Labels
	same := slices.Equal(pools, k.reviewed) && maps.Equal(labels, k.labels)
	if k.wanted != nil && same && k.now().Sub(k.at) < reviewInterval {
		return k.wanted, nil
	}
	wanted, err := k.tunnels.Ensure(ctx, pools, k.object.Annotations)
	if err == nil {
		k.reviewed, k.labels, k.at, k.wanted = pools, maps.Clone(labels), k.now(), maps.Clone(wanted)
	}
	return wanted, err
}

// prepare creates the default objects, and then the nodename file, once.
func (k *keeper) prepare(ctx context.Context, host autodetect.Host) error {
	if k.prepared {
		return nil
	}
	var ipv4 netip.Prefix
	if k.settings.Backend.Networking() {
		ipv4, _ = k.settings.Requests(k.node, k.object.Annotations, k.object.Internal)[0].Address(host)
	}
	// Without a default object the node works, or the plugins say what they miss.
	err := k.defaults.Create(ctx, ipv4)
	err = errors.Join(err, startup.WriteNodeName(k.settings.NodeNameFile, k.node))
	k.prepared = err == nil
	return err
}

// setCondition says that the network of the node is available, once it is.
func (k *keeper) setCondition(ctx context.Context) error {
	if k.up || !k.ready() || !k.settings.Backend.Networking() {
		return nil
	}
	node, err := k.api.Node(ctx, k.node)
	if err != nil {
		return err
	}
	patch := startup.ConditionPatch(startup.Up, node.Conditions, k.now())
	if err := k.api.PatchCondition(ctx, k.node, patch); err != nil {
		return err
	}
	k.up = true
	return nil
}
