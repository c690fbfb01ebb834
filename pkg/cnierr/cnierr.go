// Package cnierr gives each error of the plugins its CNI code, in this one place.
//
// Codes below 100 are the specification's (CNI 1.1.0, section 5); 11 is for what a retry cures. Our own:
//
//	100  internal: none of the others
//	101  the API server refuses the request itself: permissions, or an object that breaks the data model
//	102  a pool, an address or a family asked for cannot be had, and waiting does not help
//	103  CHECK: the attachment is not as its ADD made it
//	104  the host keeps the plugin from its work: a privilege is missing, a directory is read-only, a file is in the
//	     place of a directory, or routing rules lead away from pods. Waiting does not help. The specification's 5 is for input and output of the plugin itself.
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
	"calico-cni/pkg/netconf"
	"calico-cni/pkg/nodeipam"
	"calico-cni/pkg/pending"
	"calico-cni/pkg/workload"
)

// Our own codes.
const (
	Internal    uint = 100
	Refused     uint = 101
	Unavailable uint = 102
	Broken      uint = 103
	HostRefuses uint = 104
)

// From returns the CNI error of an error of the plugins. Of several that were joined, as when an undo fails too, one
// that a retry does not cure decides, and faults of the configuration come before those of the environment and the
// cluster.
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
	case is(err, kube.ErrForbidden, kube.ErrInvalid, kube.ErrRefused, kube.ErrMalformed, ipam.ErrMalformed, pool.ErrInvalid):
		return Refused
	case is(err, dataplane.ErrBroken, nodeipam.ErrNotHeld):
		return Broken
	case is(err, dataplane.ErrDenied), leadsAway(err):
		return HostRefuses
	case is(err, pool.ErrUnknownPool, ipam.ErrAddrTaken, ipam.ErrHandleTaken, dataplane.ErrNoIPv6):
		return Unavailable
	case is(err, kube.ErrKubeconfig, kube.ErrUnauthorized, kube.ErrUnavailable, kube.ErrNotServed,
		invocation.ErrNodeNotReady, kube.ErrNotFound, kube.ErrExists, kube.ErrConflict, ipam.ErrNotFound, ipam.ErrExists, ipam.ErrConflict,
		ipam.ErrNoAddress, ipam.ErrNotReady, ipam.ErrContended, ipam.ErrReleased, hostlock.ErrBusy,
		pending.ErrFull, pending.ErrSuperseded, pending.ErrVersion, nodeipam.ErrHeld, nodeipam.ErrOtherCluster, dataplane.ErrRouteConflict,
		context.DeadlineExceeded, context.Canceled):
		return types.ErrTryAgainLater
	case is(err, fs.ErrPermission, syscall.EROFS, syscall.ENOTDIR):
		return HostRefuses
	}
	return Internal
}

// leadsAway reports whether the host routes no address of pods to them, so that neither a retry nor another address
// helps.
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
