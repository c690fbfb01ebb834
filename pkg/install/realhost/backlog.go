// SPDX-License-Identifier: Apache-2.0

package realhost

import (
	"errors"
	"log/slog"
	"time"

	"calico-cni/internal/bootclock"
	"calico-cni/pkg/install/apigroup"
	"calico-cni/pkg/install/config"
	"calico-cni/pkg/install/watch"
	"calico-cni/pkg/ipam/crdstore"
	"calico-cni/pkg/nodeipam"
)

var errNotMounted = errors.New("file of the host is not mounted")

// backlog returns the node's queue of releases, which the plugins keep below the mounted directories.
func backlog(cfg config.Config, userAgent string, group *apigroup.Choice, log *slog.Logger) watch.Backlog {
	at := cfg.Layout()
	return nodeipam.Backlog{
		Disk:      nodeipam.Disk{State: at.RunDir(), Keep: at.KeepDir(), Now: time.Now, Boot: bootclock.Now},
		UserAgent: userAgent, ReadFile: func(string) ([]byte, error) { return nil, errNotMounted },
		Kubeconfig: at.Kubeconfig(), Named: at.HostKubeconfig(), Log: log,
		Group: func() crdstore.Group { return crdstore.Group(group.Group()) },
	}
}
