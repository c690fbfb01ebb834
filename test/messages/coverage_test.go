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

// shown are the errors of cnierr's table that a runtime can get to see, apart from those of unshown.
var shown = []error{
	netconf.ErrDecode, netconf.ErrInvalid, netconf.ErrUnsupported, netconf.ErrAnnotation, workload.ErrInvalidArgs,
	dataplane.ErrNoNetNS, dataplane.ErrIfNameTaken, dataplane.ErrSpec, dataplane.ErrBroken, dataplane.ErrDenied, dataplane.ErrRouteConflict,
	kube.ErrKubeconfig, kube.ErrNotFound, kube.ErrUnauthorized, kube.ErrForbidden, kube.ErrRefused, kube.ErrUnavailable, kube.ErrNotServed, kube.ErrMalformed,
	ipam.ErrNoAddress, ipam.ErrAddrTaken, ipam.ErrNotReady, ipam.ErrMalformed, pool.ErrUnknownPool,
	nodeipam.ErrNoFamily, invocation.ErrNodeNotReady, nodeipam.ErrNotHeld, nodeipam.ErrCannotAdd, pending.ErrFull, hostlock.ErrBusy,
}

// unshown has the others, and why no row produces them.
var unshown = map[error]string{
	dataplane.ErrHostNetNS:  "the dispatcher refuses the host's network namespace before a verb runs; pkg/dataplane/linux tests the error",
	dataplane.ErrNoIPv6:     "takes a kernel without IPv6; pkg/dataplane/linux tests it with a directory in place of /proc/sys",
	dataplane.ErrPodsCutOff: "takes running pods whose forwarding is off; test/e2e tests it",
	kube.ErrExists:          "the allocator handles it", kube.ErrConflict: "the allocator handles it", kube.ErrInvalid: "takes an object that the schema refuses; test/kubeclient tests it",
	ipam.ErrNotFound: "the allocator handles it", ipam.ErrExists: "the allocator handles it", ipam.ErrConflict: "the allocator handles it",
	ipam.ErrContended:        "takes 100 conflicts; pkg/ipam tests it",
	ipam.ErrReleased:         "takes a DEL between two writes of an ADD; pkg/ipam tests it",
	ipam.ErrHandleTaken:      "takes two containers whose IDs differ in case; pkg/ipam tests it",
	pool.ErrInvalid:          "is the cause within a pool.ErrUnknownPool or a reason of an ipam.ErrNoAddress",
	pending.ErrSuperseded:    "takes an ADD during a DEL; pkg/nodeipam tests it",
	pending.ErrVersion:       "takes a file of a newer version; pkg/pending tests it",
	nodeipam.ErrHeld:         "is logged, and the DEL succeeds",
	nodeipam.ErrOtherCluster: "takes a queued release of another cluster; pkg/nodeipam tests it",
}

// TestEveryShownErrorHasARow compares the lists with the rows; pkg/cnierr has the test that its table is complete.
func TestEveryShownErrorHasARow(t *testing.T) {
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
