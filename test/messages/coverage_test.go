// SPDX-License-Identifier: Apache-2.0

package messages_test

import (
	"errors"
	"testing"

	"calico-cni/internal/hostlock"
	"calico-cni/pkg/dataplane"
	"calico-cni/pkg/invocation"
	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/pool"
	"calico-cni/pkg/kube"
	"calico-cni/pkg/kubeapi"
	"calico-cni/pkg/netconf"
	"calico-cni/pkg/nodeipam"
	"calico-cni/pkg/pending"
	"calico-cni/pkg/workload"
)

// shown are the errors in the table of pkg/cnierr for which a row exists.
var shown = []error{
	netconf.ErrDecode, netconf.ErrInvalid, netconf.ErrUnsupported, netconf.ErrAnnotation, workload.ErrInvalidArgs,
	dataplane.ErrNoNetNS, dataplane.ErrIfNameTaken, dataplane.ErrSpec, dataplane.ErrBroken, dataplane.ErrDenied,
	dataplane.ErrRouteConflict, kube.ErrKubeconfig, kubeapi.ErrNotFound, kubeapi.ErrUnauthorized, kubeapi.ErrForbidden,
	kubeapi.ErrInvalid, kubeapi.ErrRefused, kubeapi.ErrUnavailable, kubeapi.ErrNotServed, kubeapi.ErrMalformed,
	ipam.ErrNoAddress, ipam.ErrAddrTaken, ipam.ErrAddrCooling, ipam.ErrBorrowForbidden, ipam.ErrNotFound,
	ipam.ErrNotReady, ipam.ErrMalformed, pool.ErrUnknownPool, nodeipam.ErrNoFamily, invocation.ErrNodeNotReady,
	nodeipam.ErrNotHeld, nodeipam.ErrCannotAdd, nodeipam.ErrHeld, nodeipam.ErrOtherCluster, pending.ErrFull,
	pending.ErrSuperseded, pending.ErrVersion, ipam.ErrContended, ipam.ErrHandleTaken, hostlock.ErrBusy,
}

// unshown are the other errors, with the reason why no row exists.
var unshown = map[error]string{
	dataplane.ErrHostNetNS:  "the dispatcher rejects the namespace of the host first; pkg/dataplane/linux tests it",
	dataplane.ErrNoIPv6:     "needs a kernel without IPv6; pkg/dataplane/linux tests it with another /proc/sys",
	dataplane.ErrPodsCutOff: "needs running pods without forwarding; test/e2e tests it",
	kubeapi.ErrExists:       "the allocator handles it",
	kubeapi.ErrConflict:     "the allocator handles it, and the patch of a pod is repeated; pkg/announce tests it",
	ipam.ErrExists:          "the allocator handles it",
	ipam.ErrConflict:        "the allocator handles it",
	ipam.ErrReleased:        "needs a DEL between two writes of an ADD; pkg/ipam tests it",
	pool.ErrInvalid:         "is wrapped in pool.ErrUnknownPool or a reason of ipam.ErrNoAddress; alone only in a migration",
}

// TestEveryErrorHasRow compares the lists with the rows. A test in pkg/cnierr checks that its table is complete.
func TestEveryErrorHasRow(t *testing.T) {
	for _, sentinel := range shown {
		if unshown[sentinel] != "" {
			t.Errorf("%q is in both lists", sentinel)
		}
		found := false
		for _, r := range rows() {
			for _, kind := range r.kinds {
				found = found || errors.Is(kind, sentinel)
			}
		}
		if !found {
			t.Errorf("no row produces %q", sentinel)
		}
	}
}
