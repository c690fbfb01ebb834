package main

import (
	"context"
	"time"

	"calico-cni/internal/buildinfo"
	"calico-cni/pkg/install"
	"calico-cni/pkg/kube"
)

// tokenLifetime is what the API server is asked for, as by Calico.
const tokenLifetime = 24 * time.Hour

// tokens has the API server issue tokens of the plugins' service account.
type tokens struct{ cfg install.Config }

// Token connects when it is called, so that the binaries are in place before the API server is needed.
func (t tokens) Token(ctx context.Context) (string, time.Time, error) {
	namespace, err := t.cfg.PodNamespace()
	if err != nil {
		return "", time.Time{}, err
	}
	client, err := connect(t.cfg.Kubeconfig)
	if err != nil {
		return "", time.Time{}, err
	}
	token, err := client.RequestToken(ctx, namespace, t.cfg.ServiceAccount, tokenLifetime)
	return token.Value, token.Expires, err
}

// connect returns a client with the installer's own credentials.
func connect(kubeconfig string) (*kube.Client, error) {
	userAgent := "calico-cni/" + buildinfo.Version
	if kubeconfig != "" {
		return kube.Load(kubeconfig, userAgent)
	}
	return kube.InCluster(userAgent)
}
