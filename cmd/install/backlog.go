package main

import (
	"errors"
	"log/slog"
	"time"

	"calico-cni/pkg/install"
	"calico-cni/pkg/ipamplugin"
)

var errElsewhere = errors.New("files of the host are not seen from here")

// backlog is that of the node, which the plugins keep below the mounted directories.
func backlog(cfg install.Config, log *slog.Logger) install.Backlog {
	return ipamplugin.Backlog{
		Host: ipamplugin.Host{
			Now: time.Now, UserAgent: userAgent(), State: cfg.RunDir(), Keep: cfg.KeepDir(),
			ReadFile: func(string) ([]byte, error) { return nil, errElsewhere },
		},
		Kubeconfig: cfg.MountedKubeconfig(), Named: cfg.HostKubeconfig(), Log: log,
	}
}
