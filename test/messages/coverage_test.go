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
	"calico-cni/pkg/netconf"
	"calico-cni/pkg/nodeipam"
	"calico-cni/pkg/pending"
	"calico-cni/pkg/workload"
)

// shown are the errors in the table of pkg/cnierr for which a row exists.
var shown = []error{
	netconf.ErrDecode, netconf.ErrInvalid, netconf.ErrUnsupported, netconf.ErrAnnotation, workload.ErrInvalidArgs,
	dataplane.ErrNoNetNS, dataplane.ErrIfNameTaken, dataplane.ErrSpec, dataplane.ErrBroken, dataplane.ErrDenied,
	dataplane.ErrRouteConflict, kube.ErrKubeconfig, kube.ErrNotFound, kube.ErrUnauthorized, kube.ErrForbidden,
	kube.ErrRefused, kube.ErrUnavailable, kube.ErrNotServed, kube.ErrMalformed, ipam.ErrNoAddress, ipam.ErrAddrTaken,
	ipam.ErrNotReady, ipam.ErrMalformed, pool.ErrUnknownPool, nodeipam.ErrNoFamily, invocation.ErrNodeNotReady,
	nodeipam.ErrNotHeld, nodeipam.ErrCannotAdd, pending.ErrFull, hostlock.ErrBusy,
}

// unshown are the other errors, with the reason why no row exists.
var unshown = map[error]string{
	dataplane.ErrHostNetNS:   "the dispatcher rejects the namespace of the host first; pkg/dataplane/linux tests it",
	dataplane.ErrNoIPv6:      "needs a kernel without IPv6; pkg/dataplane/linux tests it with another /proc/sys",
	dataplane.ErrPodsCutOff:  "needs running pods without forwarding; test/e2e tests it",
	kube.ErrExists:           "the allocator handles it",
	kube.ErrConflict:         "the allocator handles it",
	kube.ErrInvalid:          "needs an object that the schema rejects; test/kubeclient tests it",
	ipam.ErrNotFound:         "the allocator handles it",
	ipam.ErrExists:           "the allocator handles it",
	ipam.ErrConflict:         "the allocator handles it",
	ipam.ErrContended:        "needs 100 conflicts; pkg/ipam tests it",
	ipam.ErrReleased:         "needs a DEL between two writes of an ADD; pkg/ipam tests it",
	ipam.ErrHandleTaken:      "needs two containers whose IDs differ in case; pkg/ipam tests it",
	pool.ErrInvalid:          "is wrapped in a pool.ErrUnknownPool or is a reason of an ipam.ErrNoAddress",
	pending.ErrSuperseded:    "needs an ADD during a DEL; pkg/nodeipam tests it",
	pending.ErrVersion:       "needs a file of a newer version; pkg/pending tests it",
	nodeipam.ErrHeld:         "is logged, and the DEL succeeds",
	nodeipam.ErrOtherCluster: "needs a queued release of another cluster; pkg/nodeipam tests it",
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
