package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"calico-cni/internal/buildinfo"
	"calico-cni/pkg/install"
	"calico-cni/pkg/kube"
)

const (
	// tokenLifetime is what the API server is asked for, as by Calico.
	tokenLifetime = 24 * time.Hour
	// probeTimeout bounds the question whether a token is taken.
	probeTimeout = 10 * time.Second
)

// tokens has the API server issue tokens of the plugins' service account.
type tokens struct{ cfg install.Config }

// Token connects when it is called, so that the binaries are in place before the API server is needed, and with the
// credentials that there are then: those of a pod change under it.
func (t tokens) Token(ctx context.Context) (string, time.Time, error) {
	namespace, err := t.cfg.PodNamespace()
	if err != nil {
		return "", time.Time{}, err
	}
	client, err := connect(t.cfg.Kubeconfig)
	if err != nil {
		return "", time.Time{}, err
	}
	defer client.Close()
	token, err := client.RequestToken(ctx, namespace, t.cfg.ServiceAccount, tokenLifetime)
	return token.Value, token.Expires, err
}

// Accepted asks the API server for its version: that needs no right, but a token that it knows.
func (t tokens) Accepted(ctx context.Context, kubeconfig string) error {
	client, err := kube.LoadSupplied(kubeconfig, userAgent())
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	err = client.Ping(ctx)
	switch {
	case errors.Is(err, kube.ErrUnauthorized):
		return fmt.Errorf("%w: %w", install.ErrRefused, err)
	case errors.Is(err, kube.ErrForbidden):
		return nil
	}
	return err
}

// connect returns a client with the installer's own credentials.
func connect(kubeconfig string) (*kube.Client, error) {
	if kubeconfig != "" {
		return kube.LoadSupplied(kubeconfig, userAgent())
	}
	return kube.InCluster(os.Getenv, userAgent())
}

func userAgent() string { return "calico-cni/" + buildinfo.Version }
