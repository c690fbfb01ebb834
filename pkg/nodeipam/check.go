// SPDX-License-Identifier: Apache-2.0

package nodeipam

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/workload"
)

// ErrNotHeld says that an address of the interface is not allocated to the attachment. Another pod may use it.
var ErrNotHeld = errors.New("address is not allocated to the attachment")

// Check returns an error that wraps ErrNotHeld, and names each address, unless the attachment holds all of them.
func (a Allocations) Check(ctx context.Context, network string, id workload.ID, addrs []netip.Addr) error {
	handle := id.HandleID(network)
	held, err := a.allocator(a.cache).HeldByHandle(ctx, handle)
	if err != nil {
		return err
	}
	var wrong []string
	for _, addr := range addrs {
		i := slices.IndexFunc(held, func(h ipam.Held) bool { return h.Addr == addr })
		switch {
		case i < 0:
			wrong = append(wrong, fmt.Sprintf("%s is not held by handle %s", addr, handle))
		case id.Kubernetes() && !isOwner(held[i].Owner, id):
			wrong = append(wrong, fmt.Sprintf("%s is held for pod %s/%s, not %s/%s",
				addr, held[i].Owner["namespace"], held[i].Owner["pod"], id.Namespace, id.Pod))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	// While the datastore is locked, for example during a migration, allocations may be missing temporarily.
	if err := a.Cluster.Ready(ctx); err != nil {
		return err
	}
	return fmt.Errorf("%w: %s: delete the pod, so that its successor gets an address of its own",
		ErrNotHeld, strings.Join(wrong, "; "))
}

// isOwner reports whether an owner is the pod. An owner without a pod may be any.
func isOwner(owner map[string]string, id workload.ID) bool {
	return owner["pod"] == "" || owner["pod"] == id.Pod && owner["namespace"] == id.Namespace
}
