// SPDX-License-Identifier: Apache-2.0

// Package cnierr maps the errors of the plugins to CNI error codes.
//
// Codes below 100 are those of the specification (CNI 1.1.0, section 5). Code 11 means that a retry may succeed, code 5
// is for input and output of the plugin itself. The plugins define these codes:
//
//	100  internal: an error that no other code describes
//	101  the API server rejects the request: a permission is missing, or an object violates the data model
//	102  a requested pool, address or family is unavailable, and a retry does not help
//	103  CHECK: the attachment differs from the result of its ADD
//	104  the host prevents the operation: a privilege is missing, a directory is read-only, a file is in the place of
//	     a directory, or routing rules do not lead to pods; a retry does not help
//
// Two codes do not come from this package: 999, into which package dispatch turns a panic, and the codes of other IPAM
// plugins, which calico passes through.
package cnierr

import (
	"context"
	"errors"
	"io/fs"
	"syscall"

	"github.com/containernetworking/cni/pkg/types"

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

// Codes that the plugins define.
const (
	Internal    uint = 100
	Refused     uint = 101
	Unavailable uint = 102
	Broken      uint = 103
	HostRefuses uint = 104
)

// From returns the CNI error for an error of the plugins. If errors are joined, for example because an undo failed as
// well, an error that a retry cannot fix determines the code. Configuration errors precede errors of the environment
// and the cluster.
func From(err error) *types.Error { return types.NewError(code(err), err.Error(), "") }

func code(err error) uint {
	switch {
	case is(err, dataplane.ErrPodsCutOff):
		return types.ErrLimitedConnectivity
	case is(err, nodeipam.ErrCannotAdd):
		return types.ErrPluginNotAvailable
	case is(err, netconf.ErrDecode):
		return types.ErrDecodingFailure
	case is(err, netconf.ErrInvalid, netconf.ErrAnnotation, nodeipam.ErrNoFamily, dataplane.ErrSpec):
		return types.ErrInvalidNetworkConfig
	case is(err, netconf.ErrUnsupported):
		return types.ErrUnsupportedField
	case is(err, workload.ErrInvalidArgs, dataplane.ErrNoNetNS, dataplane.ErrHostNetNS, dataplane.ErrIfNameTaken):
		return types.ErrInvalidEnvironmentVariables
	case is(err, kube.ErrKubeconfig) && !is(err, fs.ErrNotExist):
		return types.ErrIOFailure
	case is(err, kubeapi.ErrForbidden, kubeapi.ErrInvalid, kubeapi.ErrRefused, kubeapi.ErrMalformed, ipam.ErrMalformed,
		pool.ErrInvalid):
		return Refused
	case is(err, dataplane.ErrBroken, nodeipam.ErrNotHeld):
		return Broken
	case is(err, dataplane.ErrDenied), leadsAway(err):
		return HostRefuses
	case is(err, pool.ErrUnknownPool, ipam.ErrAddrTaken, ipam.ErrBorrowForbidden, ipam.ErrHandleTaken,
		dataplane.ErrNoIPv6):
		return Unavailable
	case is(err, kube.ErrKubeconfig, kubeapi.ErrUnauthorized, kubeapi.ErrUnavailable, kubeapi.ErrNotServed,
		kubeapi.ErrNotFound, kubeapi.ErrExists, kubeapi.ErrConflict, invocation.ErrNodeNotReady, ipam.ErrNotFound,
		ipam.ErrExists, ipam.ErrConflict, ipam.ErrNoAddress, ipam.ErrAddrCooling, ipam.ErrNotReady, ipam.ErrContended,
		ipam.ErrReleased, hostlock.ErrBusy, pending.ErrFull, pending.ErrSuperseded, pending.ErrVersion,
		nodeipam.ErrHeld, nodeipam.ErrOtherCluster, dataplane.ErrRouteConflict, context.DeadlineExceeded, context.Canceled):
		return types.ErrTryAgainLater
	case is(err, fs.ErrPermission, syscall.EROFS, syscall.ENOTDIR):
		return HostRefuses
	}
	return Internal
}

// leadsAway reports whether the routing rules of the host lead away from all pods, so that neither a retry nor another
// address helps.
func leadsAway(err error) bool {
	var conflict *dataplane.RouteConflictError
	return errors.As(err, &conflict) && !conflict.AnotherAddressHelps()
}

func is(err error, targets ...error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}
