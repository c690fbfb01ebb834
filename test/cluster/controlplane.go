// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"calico-cni/test/apiserver"
)

// controlPlane is the API server, the controller manager and the scheduler.
type controlPlane struct {
	kubed string // path of the Kubernetes binary
	dir   string // directory of the logs and of the server's files
	// first is the first API server. Its clients and files also work for later ones.
	first       *apiserver.Server
	running     *apiserver.Server // the current one
	controllers []*exec.Cmd
}

// startControlPlane starts all processes. On an error the caller stops the returned control plane.
func startControlPlane(ctx context.Context, kubed, dir string) (*controlPlane, error) {
	p := &controlPlane{kubed: kubed, dir: dir}
	if err := p.startServer(ctx); err != nil {
		return p, err
	}
	p.first = p.running
	return p, p.startControllers()
}

// pki returns the directory of the API server's certificates and keys.
func (p *controlPlane) pki() string { return filepath.Join(p.dir, "server", "pki") }

// startServer starts an API server. A later one continues with the data and the address of the first.
func (p *controlPlane) startServer(ctx context.Context) error {
	server, err := apiserver.Start(ctx, apiserver.Options{
		Kubed: p.kubed, Dir: filepath.Join(p.dir, "server"), Address: Host4, Port: 6443,
		Flags: []string{
			"--service-cluster-ip-range=" + Services4 + "," + Services6,
			// For logs and exec.
			"--kubelet-client-certificate=" + p.pki() + "/admin.crt", "--kubelet-client-key=" + p.pki() + "/admin.key",
		},
	})
	if err == nil {
		p.running = server
	}
	return err
}

// startControllers starts the controller manager and the scheduler. They reconnect when the API server is restarted.
func (p *controlPlane) startControllers() error {
	pki := p.pki()
	for _, args := range [][]string{
		{
			"kube-controller-manager", "--service-account-private-key-file=" + pki + "/sa.key",
			"--root-ca-file=" + pki + "/ca.crt",
			"--cluster-signing-cert-file=" + pki + "/ca.crt", "--cluster-signing-key-file=" + pki + "/ca.key",
			"--use-service-account-credentials", "--allocate-node-cidrs=false", "--node-monitor-grace-period=20s",
		},
		{"kube-scheduler"},
	} {
		log, err := os.Create(filepath.Join(p.dir, args[0]+".log"))
		if err != nil {
			return err
		}
		cmd := exec.Command(p.kubed, append(args, "--kubeconfig="+p.first.Kubeconfig(), "--leader-elect=false",
			"--bind-address=127.0.0.1")...)
		cmd.Stdout, cmd.Stderr = log, log
		if err := errors.Join(cmd.Start(), log.Close()); err != nil {
			return fmt.Errorf("start %s: %w", args[0], err)
		}
		p.controllers = append(p.controllers, cmd)
	}
	return nil
}

// stop kills all processes.
func (p *controlPlane) stop() error {
	for _, cmd := range p.controllers {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	if p.running == nil {
		return nil
	}
	return p.running.Kill()
}
